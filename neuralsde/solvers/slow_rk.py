from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import AbstractSDE, Calculus, Time, noise_term
from neuralsde.solvers.base import AbstractSolver, orders


class SlowRK(AbstractSolver):
    r"""Splitting Runge–Kutta with two drift and five diffusion evaluations, the default for commutative noise.

    With $f_1 = f(t, z)$ and $m = t + h/2$:

    $$z_2 = z + \tfrac h2 f_1, \quad z_3 = z_2 + \tfrac12 g_2 W, \quad z_4 = z_2 + \tfrac12 g_3 W, \quad
      z_5 = z_2 + g_4 W, \quad z_6 = z + \tfrac34 h f_1 + g_4 (\tfrac34 W + \tfrac32 H), \quad
      z_7 = z + h f_1 + \tfrac12 g_3 W,$$
    $$z_1 = z + \tfrac h3 (f_1 + 2 f_6) + \tfrac16 (g_2 + 2 g_3 + 2 g_4 + g_5) W + 2 (g_4 - g_7) H,$$

    where $g_2, \dots, g_5$ are taken at $m$, $f_6$ at $t + \frac34 h$ and $g_7$ at $t + h$.

    Converges to the Stratonovich solution. Strong order 3/2 for commutative noise, 1/2 for general.

    Reference: Foster, dos Reis, Strange, arXiv 2210.17543.
    """

    calculus = Calculus.STRATONOVICH
    strong_order = orders(additive=1.5, commutative=1.5, general=0.5)
    levy_area = LevyArea.SPACE_TIME

    def step(
        self, sde: AbstractSDE, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> Float[Tensor, "*batch state"]:
        h, w, area = path.dt, path.w, path.h
        middle = t + h / 2
        f1 = sde.drift(t, state)
        z2 = state + h / 2 * f1
        g2 = sde.diffusion(middle, z2)
        g3 = sde.diffusion(middle, z2 + noise_term(g2, w) / 2)
        half = noise_term(g3, w) / 2
        g4 = sde.diffusion(middle, z2 + half)
        g5 = sde.diffusion(middle, z2 + noise_term(g4, w))
        f6 = sde.drift(t + 0.75 * h, state + 0.75 * h * f1 + noise_term(g4, 0.75 * w + 1.5 * area))
        g7 = sde.diffusion(t + h, state + h * f1 + half)
        simpson = noise_term(g2 + 2 * (g3 + g4) + g5, w) / 6
        return state + h / 3 * (f1 + 2 * f6) + simpson + 2 * noise_term(g4 - g7, area)
