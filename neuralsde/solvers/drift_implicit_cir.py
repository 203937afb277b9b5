from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments
from neuralsde.sde import Calculus, CoxIngersollRoss, Time
from neuralsde.solvers.base import AbstractSolver, orders


class DriftImplicitCIR(AbstractSolver):
    r"""Drift-implicit Euler for the CIR process, on $y = \sqrt z$ with $\alpha = (4 a b - \sigma^2)/8$:

    $$m = y + \tfrac12 \sigma W, \qquad
      y_1 = \frac{m + \sqrt{\max(0,\; m^2 + 4 \alpha h (1 + a h / 2))}}{2 + a h}, \qquad z_1 = y_1^2.$$

    Never negative. Strong order 1 where $\sigma^2 < 4 a b / 3$ or so, less beyond; at $\alpha < 0$ the maximum makes it
    an approximation.

    Reference: Alfonsi, "Strong order one convergence of a drift implicit Euler scheme", arXiv 1206.3855.
    """

    calculus = Calculus.ITO
    strong_order = orders(additive=1.0, commutative=1.0)
    requires = CoxIngersollRoss

    def step(
        self, sde: CoxIngersollRoss, t: Time, state: Float[Tensor, "*batch state"], path: Increments
    ) -> Float[Tensor, "*batch state"]:
        a, h = sde.rate, path.dt
        alpha = (4 * a * sde.mean - sde.sigma**2) / 8
        m = state.clamp(min=0).sqrt() + sde.sigma / 2 * path.w
        root = (m**2 + 4 * alpha * h * (1 + a * h / 2)).clamp(min=0).sqrt()
        return ((m + root) / (2 + a * h)) ** 2
