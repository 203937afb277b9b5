import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import Time, UnderdampedLangevin
from neuralsde.solvers.base import AbstractEmbeddedSolver, orders
from neuralsde.solvers.langevin_base import AbstractUncontrolledLangevinSolver, Triple


class ALIGN(AbstractUncontrolledLangevinSolver, AbstractEmbeddedSolver):
    r"""Adaptive Langevin via interpolated gradients and noise, with one new force per step. With $G = \nabla F / m$,
    $G_0 = G(x)$, $G_1 = G(x_1)$ and the coefficients of `LangevinCoefficients`:

    $$x_1 = x + a_1 v - b_1 h G_0 + \rho (b_1 W + c_H H), \qquad
      v_1 = \beta_1 v - (a_1 - b_1) G_0 - b_1 G_1 + \rho (\tfrac{a_1}h W - \gamma c_H H).$$

    Strong order 2; the error estimate of $v$ is $-b_1 (G_1 - G_0)$, that of $x$ is zero.

    Reference: Foster, Lyons, Oberhauser, arXiv 2101.03446; the form of diffrax.
    """

    strong_order = orders(additive=2.0)
    levy_area = LevyArea.SPACE_TIME

    def step_with_error(
        self, sde: UnderdampedLangevin, t: Time, state: Triple, path: Increments
    ) -> tuple[Triple, Float[Tensor, "*batch state"]]:
        x, v, force = state
        h, k, rho = path.dt, self.coefficients(sde, path), sde.noise_scale().to(x)
        a, b, area = k.a(), k.b(), k.c_h() * path.h
        x1 = x + a * v - b * h * force + rho * (b * path.w + area)
        force1 = sde.force_field(x1)
        error = b * (force - force1)
        v1 = k.beta() * v - a * force + error + rho * (a / h * path.w - k.friction * area)
        return (x1, v1, force1), torch.cat([torch.zeros_like(x), error], -1)
