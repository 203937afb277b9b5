from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import AbstractSDE, Calculus, Time, noise_term
from neuralsde.solvers.base import AbstractSolver, orders


class GeneralShARK(AbstractSolver):
    r"""ShARK for any noise:

    $$z_2 = z + g(t, z) H, \qquad z_3 = z + \tfrac56 h f_2 + \tfrac56 g_2 W + g(t, z) H,$$
    $$z_1 = z + h (\tfrac25 f_2 + \tfrac35 f_3) + (\tfrac25 g_2 + \tfrac35 g_3) W + \tfrac65 (g_2 - g_3) H,$$

    with $f_2, g_2$ at $(t, z_2)$ and $f_3, g_3$ at $(t + \frac56 h, z_3)$.

    Converges to the Stratonovich solution. Strong order 1/2 for general noise, 1 for commutative, 3/2 for additive.

    Reference: Foster, dos Reis, Strange, arXiv 2210.17543.
    """

    calculus = Calculus.STRATONOVICH
    strong_order = orders(additive=1.5, commutative=1.0, general=0.5)
    levy_area = LevyArea.SPACE_TIME

    def step(
        self, sde: AbstractSDE, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> Float[Tensor, "*batch state"]:
        h, w, area = path.dt, path.w, path.h
        shift = noise_term(sde.diffusion(t, state), area)
        z2 = state + shift
        f2, g2 = sde.drift(t, z2), sde.diffusion(t, z2)
        z3 = state + 5 / 6 * (h * f2 + noise_term(g2, w)) + shift
        late = t + 5 / 6 * h
        f3, g3 = sde.drift(late, z3), sde.diffusion(late, z3)
        drift = h * (0.4 * f2 + 0.6 * f3)
        return state + drift + noise_term(g2, 0.4 * w + 1.2 * area) + noise_term(g3, 0.6 * w - 1.2 * area)
