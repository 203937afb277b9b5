from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments
from neuralsde.sde import AbstractSDE, Calculus, Time, noise_term
from neuralsde.solvers.base import AbstractSolver, orders


class EulerMaruyama(AbstractSolver):
    r"""Euler–Maruyama: $z_1 = z + f(t, z)\,h + g(t, z)\,W$.

    Converges to the Itô solution. Strong order 1/2, or 1 for additive noise; weak order 1.

    Reference: Kloeden & Platen, *Numerical Solution of SDEs*, 1992, section 10.2.
    """

    calculus = Calculus.ITO
    strong_order = orders(additive=1.0, commutative=0.5, general=0.5)
    pathwise = False

    def step(
        self, sde: AbstractSDE, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> Float[Tensor, "*batch state"]:
        return state + sde.drift(t, state) * path.dt + noise_term(sde.diffusion(t, state), path.w)
