from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import Time, UnderdampedLangevin
from neuralsde.solvers.base import orders
from neuralsde.solvers.langevin_base import AbstractUncontrolledLangevinSolver, Triple


class ShOULD(AbstractUncontrolledLangevinSolver):
    r"""Shifted ODE method for underdamped Langevin dynamics, with two new forces per step. With $G = \nabla F / m$:

    $$\hat v = v + \rho (H + 6K), \qquad
      \hat x = x + a_{1/2} \hat v + b_{1/2} (\rho (W - 12K) - h G_0), \qquad G_1 = G(\hat x),$$
    $$x_1 = x + a_1 v - \tfrac h3 b_1 (G_0 + 2 G_1) + \rho (b_1 W + c_H H + c_K K), \qquad G_2 = G(x_1),$$
    $$v_1 = \beta_1 v - \tfrac h6 (\beta_1 G_0 + 4 \beta_{1/2} G_1 + G_2)
      + \rho (\tfrac{a_1}h W - \gamma (c_H H + c_K K)).$$

    Strong order 3.

    Reference: Foster, Lyons, Oberhauser, arXiv 2101.03446.
    """

    strong_order = orders(additive=3.0)
    levy_area = LevyArea.SPACE_TIME_TIME

    def step(self, sde: UnderdampedLangevin, t: Time, state: Triple, path: Increments) -> Triple:
        x, v, force = state
        h, k, rho = path.dt, self.coefficients(sde, path), sde.noise_scale().to(x)
        shifted = v + rho * (path.h + 6 * path.k)
        middle = x + k.a(0.5) * shifted + k.b(0.5) * (rho * (path.w - 12 * path.k) - h * force)
        force1 = sde.force_field(middle)
        areas = k.c_h() * path.h + k.c_k() * path.k
        x1 = x + k.a() * v - h / 3 * k.b() * (force + 2 * force1) + rho * (k.b() * path.w + areas)
        force2 = sde.force_field(x1)
        kick = h / 6 * (k.beta() * force + 4 * k.beta(0.5) * force1 + force2)
        v1 = k.beta() * v - kick + rho * (k.a() / h * path.w - k.friction * areas)
        return x1, v1, force2
