from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import AbstractSDE, Time, noise_term
from neuralsde.solvers.base import AbstractEmbeddedSolver, orders
from neuralsde.solvers.sea import moving_noise


class ShARK(AbstractEmbeddedSolver):
    r"""Shifted additive-noise Runge–Kutta, the default for additive noise, with $G = g(t)$:

    $$k_1 = f(t, z + G H), \quad k_2 = f(t + \tfrac56 h,\; z + \tfrac56 h k_1 + G (\tfrac56 W + H)), \quad
      z_1 = z + h (\tfrac25 k_1 + \tfrac35 k_2) + \textstyle\int g\,dW.$$

    Strong order 3/2, weak order 2; the error estimate is $\frac35 h (k_2 - k_1)$.

    Reference: Foster, dos Reis, Strange, arXiv 2210.17543.
    """

    calculus = None
    strong_order = orders(additive=1.5)
    levy_area = LevyArea.SPACE_TIME

    def step_with_error(
        self, sde: AbstractSDE, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]:
        h = path.dt
        g, noise = moving_noise(sde, t, state, path)
        k1 = sde.drift(t, state + noise_term(g, path.h))
        inner = state + 5 / 6 * h * k1 + noise_term(g, 5 / 6 * path.w + path.h)
        error = 0.6 * h * (sde.drift(t + 5 / 6 * h, inner) - k1)
        return state + h * k1 + error + noise, error
