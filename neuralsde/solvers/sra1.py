from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import AbstractSDE, Time, noise_term
from neuralsde.solvers.base import AbstractEmbeddedSolver, orders
from neuralsde.solvers.sea import moving_noise


class SRA1(AbstractEmbeddedSolver):
    r"""Rößler's SRA1 for additive noise, with $G = g(t)$:

    $$k_1 = f(t, z), \quad k_2 = f(t + \tfrac34 h,\; z + \tfrac34 h k_1 + G (\tfrac34 W + \tfrac32 H)), \quad
      z_1 = z + h (\tfrac13 k_1 + \tfrac23 k_2) + \textstyle\int g\,dW.$$

    Strong order 3/2, weak order 2; the error estimate is $\frac23 h (k_2 - k_1)$.

    Reference: Rößler, SIAM J. Numer. Anal. 48(3), 2010.
    """

    calculus = None
    strong_order = orders(additive=1.5)
    levy_area = LevyArea.SPACE_TIME

    def step_with_error(
        self, sde: AbstractSDE, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]:
        h = path.dt
        g, noise = moving_noise(sde, t, state, path)
        k1 = sde.drift(t, state)
        inner = state + 0.75 * h * k1 + noise_term(g, 0.75 * path.w + 1.5 * path.h)
        error = 2 / 3 * h * (sde.drift(t + 0.75 * h, inner) - k1)
        return state + h * k1 + error + noise, error
