import math

from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import AbstractSDE, Calculus, Time, noise_term
from neuralsde.solvers.base import AbstractEmbeddedSolver, orders

OUTER, MIDDLE = (3 - math.sqrt(3)) / 6, math.sqrt(3) / 3


class SPaRK(AbstractEmbeddedSolver):
    r"""Splitting path Runge–Kutta, the default for general noise and adaptive steps.

    With $c_1 = (3 - \sqrt 3)/6$, $c_2 = \sqrt 3 / 3$ and $f_1, g_1$ at $(t, z)$, $f_2, g_2$ at $(t + h/2, z_2)$,
    $f_3, g_3$ at $(t + h, z_3)$:

    $$z_2 = z + \tfrac h2 f_1 + g_1 (\tfrac12 W + \sqrt 3 H), \qquad z_3 = z + h f_2 + g_2 W,$$
    $$z_1 = z + h (c_1 f_1 + c_2 f_2 + c_1 f_3) + (c_1 g_1 + c_2 g_2 + c_1 g_3) W + (g_1 - g_3) H.$$

    The error estimate replaces both outer weights $c_1$ by $c_1 - \frac12$. Converges to the Stratonovich solution.
    Strong order 1/2 for general noise, 1 for commutative, 3/2 for additive.

    Reference: Foster & Jelinčič, "On the convergence of adaptive approximations for SDEs", arXiv 2311.14201.
    """

    calculus = Calculus.STRATONOVICH
    strong_order = orders(additive=1.5, commutative=1.0, general=0.5)
    levy_area = LevyArea.SPACE_TIME

    def step_with_error(
        self, sde: AbstractSDE, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]:
        h, w, area = path.dt, path.w, path.h
        f1, g1 = sde.drift(t, state), sde.diffusion(t, state)
        z2 = state + h / 2 * f1 + noise_term(g1, w / 2 + math.sqrt(3) * area)
        f2, g2 = sde.drift(t + h / 2, z2), sde.diffusion(t + h / 2, z2)
        z3 = state + h * f2 + noise_term(g2, w)
        f3, g3 = sde.drift(t + h, z3), sde.diffusion(t + h, z3)
        ends = h * (f1 + f3) + noise_term(g1 + g3, w)
        centre = MIDDLE * (h * f2 + noise_term(g2, w)) + noise_term(g1 - g3, area)
        return state + OUTER * ends + centre, (OUTER - 0.5) * ends + centre
