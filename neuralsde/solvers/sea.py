from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import AbstractSDE, Time, noise_term
from neuralsde.solvers.base import AbstractSolver, orders


def moving_noise(
    sde: AbstractSDE, t: Time, z: Float[Tensor, "*batch state"], path: Increments
) -> tuple[Float[Tensor, "*batch state"] | Float[Tensor, "*batch state noise"], Float[Tensor, "*batch state"]]:
    r"""$G = g(t)$ and $\int g\,dW \approx G W + \frac12 (g(t + h) - g(t)) (W - 2 H)$, for additive noise.

    Linear interpolation of $g$ over the step; it adds nothing where $g$ does not depend on time.
    """
    g = sde.diffusion(t, z)
    change = (sde.diffusion(t + path.dt, z) - g) / 2
    return g, noise_term(g, path.w) + noise_term(change, path.w - 2 * path.h)


class SEA(AbstractSolver):
    r"""Shifted Euler for additive noise: $z_1 = z + h f(t, z + G (W/2 + H)) + \int g\,dW$ with $G = g(t)$.

    Strong order 1 with a smaller constant than Euler's, at the same cost.

    Reference: Foster, dos Reis, Strange, "High order splitting methods for SDEs satisfying a commutativity
    condition", arXiv 2210.17543.
    """

    calculus = None
    strong_order = orders(additive=1.0)
    levy_area = LevyArea.SPACE_TIME

    def step(
        self, sde: AbstractSDE, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> Float[Tensor, "*batch state"]:
        g, noise = moving_noise(sde, t, state, path)
        shifted = state + noise_term(g, path.w / 2 + path.h)
        return state + path.dt * sde.drift(t, shifted) + noise
