from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments
from neuralsde.sde import AbstractSDE, Calculus, Time, noise_term
from neuralsde.solvers.base import AbstractEmbeddedSolver, orders


class Heun(AbstractEmbeddedSolver):
    r"""Heun, the trapezoidal method with an Euler predictor:

    $$\hat z = z + h f(t, z) + g(t, z)\,W, \qquad
      z_1 = z + \tfrac h2 (f(t, z) + f(t + h, \hat z)) + \tfrac12 (g(t, z) + g(t + h, \hat z))\,W.$$

    Converges to the Stratonovich solution. Strong order 1 for commutative noise, 1/2 for general; the error estimate is
    $z_1 - \hat z$.

    Reference: Rümelin, "Numerical treatment of stochastic differential equations", SIAM J. Numer. Anal. 19(3), 1982.
    """

    calculus = Calculus.STRATONOVICH
    strong_order = orders(additive=1.0, commutative=1.0, general=0.5)

    def step_with_error(
        self, sde: AbstractSDE, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]:
        h = path.dt
        first = h * sde.drift(t, state) + noise_term(sde.diffusion(t, state), path.w)
        euler = state + first
        second = h * sde.drift(t + h, euler) + noise_term(sde.diffusion(t + h, euler), path.w)
        error = (second - first) / 2
        return euler + error, error
