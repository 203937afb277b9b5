import math

from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import Calculus, CoxIngersollRoss, Time
from neuralsde.solvers.base import AbstractSolver, orders


class StrangCIR(AbstractSolver):
    r"""High-order Strang splitting for the CIR process: exact drift, noise, drift, noise, drift, with the Stratonovich
    mean $\tilde b = b - \sigma^2 / 4a$, $c = e^{-ah(3 - \sqrt3)/6}$, $\hat c = e^{-ah/\sqrt3}$, and the positive part under
    each root:

    $$z_1 = c z + (1 - c) \tilde b, \quad
      z_2 = \left(\sqrt{z_1} + \tfrac\sigma2 (\tfrac12 W + \sqrt3 H)\right)^2, \quad
      z_3 = \hat c z_2 + (1 - \hat c) \tilde b, \quad
      z_4 = \left(\sqrt{z_3} + \tfrac\sigma2 (\tfrac12 W - \sqrt3 H)\right)^2, \quad
      z_5 = c z_4 + (1 - c) \tilde b.$$

    Never negative where $\sigma^2 \le 4 a b$. Strong order 1.5 where $\sigma$ is so small that zero is not approached.

    Reference: Foster, dos Reis, Strange, arXiv 2210.17543, equation 5.3.
    """

    calculus = Calculus.ITO
    strong_order = orders(additive=1.5, commutative=1.5)
    levy_area = LevyArea.SPACE_TIME
    requires = CoxIngersollRoss

    def step(
        self, sde: CoxIngersollRoss, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> Float[Tensor, "*batch state"]:
        rate, h = sde.rate, path.dt
        mean = sde.mean - sde.sigma**2 / (4 * rate)

        def drift(z: Tensor, share: float) -> Tensor:
            kept = (-rate * h * share).exp()
            return kept * z + (1 - kept) * mean

        def noise(z: Tensor, w: Tensor) -> Tensor:
            return (z.clamp(min=0).sqrt() + sde.sigma / 2 * w) ** 2

        outer, inner = (3 - math.sqrt(3)) / 6, 1 / math.sqrt(3)
        z = noise(drift(state, outer), path.w / 2 + math.sqrt(3) * path.h)
        z = noise(drift(z, inner), path.w / 2 - math.sqrt(3) * path.h)
        return drift(z, outer)
