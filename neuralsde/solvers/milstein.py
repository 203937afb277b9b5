import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments
from neuralsde.sde import AbstractSDE, Calculus, NoiseType, Time, noise_term
from neuralsde.sde.convert import correction
from neuralsde.solvers.base import AbstractSolver, orders


class Milstein(AbstractSolver):
    r"""Itô–Milstein: $z_1 = z + f h + g W + \frac12 g\,\partial_z g\,(W^2 - h)$.

    Converges to the Itô solution. Strong order 1 for diagonal and scalar noise (and additive, where it is Euler's).

    Reference: Kloeden & Platen, *Numerical Solution of SDEs*, 1992, section 10.3.
    """

    calculus = Calculus.ITO
    strong_order = orders(additive=1.0, commutative=1.0)

    def step(
        self, sde: AbstractSDE, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> Float[Tensor, "*batch state"]:
        if sde.noise is NoiseType.DIAGONAL:
            g, slope = sde.diffusion_with_slope(t, state)
            moved = torch.addcmul(state, sde.drift(t, state), path.dt)
            return moved + g * torch.addcmul(path.w, slope / 2, path.w**2 - path.dt)
        euler = state + sde.drift(t, state) * path.dt + noise_term(sde.diffusion(t, state), path.w)
        if sde.noise is NoiseType.ADDITIVE:
            return euler
        return euler + correction(sde, t, state) * (path.w**2 - path.dt)
