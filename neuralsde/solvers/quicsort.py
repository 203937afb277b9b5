import math

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import Time, UnderdampedLangevin
from neuralsde.solvers.base import orders
from neuralsde.solvers.langevin_base import AbstractUncontrolledLangevinSolver

LEFT, RIGHT = 0.5 - math.sqrt(3) / 6, 0.5 + math.sqrt(3) / 6  # the two Gauss–Legendre nodes
Pair = tuple[Float[Tensor, "*batch d"], Float[Tensor, "*batch d"]]


class QUICSORT(AbstractUncontrolledLangevinSolver):
    r"""Quadrature-inspired and contractive shifted ODE with Runge–Kutta three, with two forces per step.

    With $G = \nabla F / m$, $l, r = \frac12 \mp \frac{\sqrt 3}6$, $\hat v = v + \rho (H + 6K)$, $w = \rho (W - 12K)$:

    $$F_1 = h G(x + a_l \hat v + b_l w), \qquad F_2 = h G(x + a_r \hat v + b_r w - a_{1/3} F_1),$$
    $$x_1 = x + a_1 \hat v + b_1 w - \tfrac12 (a_r F_1 + a_l F_2), \qquad
      v_1 = \beta_1 \hat v - \tfrac12 (\beta_r F_1 + \beta_l F_2) + \tfrac{a_1}h w - \rho (H - 6K).$$

    Strong order 3.

    Reference: Scott, O'Kane, Jelinčič, Foster, "Underdamped Langevin MCMC with third order convergence", 2025;
    Chada, Leimkuhler, Paulin, Whalley, arXiv 2311.05025.
    """

    strong_order = orders(additive=3.0)
    levy_area = LevyArea.SPACE_TIME_TIME

    def init(self, sde: UnderdampedLangevin, t: Time, z: Float[Tensor, "*batch state"]) -> Pair:
        return sde.halves(z)

    def solution(self, state: Pair) -> Float[Tensor, "*batch state"]:
        return torch.cat(state, -1)

    def step(self, sde: UnderdampedLangevin, t: Time, state: Pair, path: Increments) -> Pair:
        x, v = state
        h, k, rho = path.dt, self.coefficients(sde, path), sde.noise_scale().to(x)
        shifted = v + rho * (path.h + 6 * path.k)
        w = rho * (path.w - 12 * path.k)
        force1 = h * sde.force_field(x + k.a(LEFT) * shifted + k.b(LEFT) * w)
        force2 = h * sde.force_field(x + k.a(RIGHT) * shifted + k.b(RIGHT) * w - k.a(1 / 3) * force1)
        x1 = x + k.a() * shifted + k.b() * w - (k.a(RIGHT) * force1 + k.a(LEFT) * force2) / 2
        kick = (k.beta(RIGHT) * force1 + k.beta(LEFT) * force2) / 2
        return x1, k.beta() * shifted - kick + k.a() / h * w - rho * (path.h - 6 * path.k)
