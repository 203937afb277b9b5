from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments
from neuralsde.sde import AbstractGeometric, AbstractLinearNoise, Calculus, Time
from neuralsde.solvers.base import AbstractSolver, orders


class LogEuler(AbstractSolver):
    r"""Euler on $\log |z|$ for $dz = \gamma z\,dt + \sigma(t) z\,dW$ (Itô):
    $z_1 = z \exp((\gamma - \frac12 \sigma^2) h + \sigma W)$.

    Every component keeps its sign exactly. Exact for constant coefficients; strong order 1, because the noise of
    $\log |z|$ is additive.

    Reference: Kloeden & Platen, *Numerical Solution of SDEs*, 1992, section 4.4 (the transformation).
    """

    calculus = Calculus.ITO
    strong_order = orders(additive=1.0, commutative=1.0)
    requires = AbstractGeometric

    def step(
        self, sde: AbstractGeometric, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> Float[Tensor, "*batch state"]:
        sigma = sde.volatility(t, state)
        return state * (sde.log_drift(t, state) * path.dt + sigma * path.w).exp()


class LinearNoiseSplitting(AbstractSolver):
    r"""An Euler step of the drift, then the exact solution of $dz = \sigma(t) z\,dW$ (Itô) with $\sigma$ frozen:
    $z_1 = (z + f h) \exp(-\frac12 \sigma^2 h + \sigma W)$.

    The noise never changes a sign; the drift may. Strong order 1.

    Reference: MacNamara & Strang, "Operator splitting", 2016 (Lie splitting).
    """

    calculus = Calculus.ITO
    strong_order = orders(additive=1.0, commutative=1.0)
    requires = AbstractLinearNoise

    def step(
        self, sde: AbstractLinearNoise, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> Float[Tensor, "*batch state"]:
        sigma = sde.volatility(t, state)
        return (state + sde.drift(t, state) * path.dt) * (sigma * path.w - sigma**2 / 2 * path.dt).exp()
