"""Integrals of the Ornstein–Uhlenbeck kernel over one step, which the Langevin methods share."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

SMALL = 0.5  # below this the closed forms lose digits to cancellation; the series has 16 terms and loses none
TERMS = 16


class LangevinCoefficients:
    r"""With friction $\gamma$, step $h$ and $\alpha = \gamma h$:

    $$\beta_\theta = e^{-\theta\alpha}, \quad a_\theta = \frac{1 - \beta_\theta}\gamma, \quad
      b_\theta = \frac{\beta_\theta + \theta\alpha - 1}{\gamma^2 h},$$
    $$c_H = \frac{6 (\beta_1 (\alpha + 2) + \alpha - 2)}{\alpha^2 \gamma}, \quad
      c_K = \frac{60 (\beta_1 (\alpha^2 + 6\alpha + 12) - \alpha^2 + 6\alpha - 12)}{\alpha^3 \gamma}.$$

    The numerators are power series in $\alpha$ whose first terms cancel; for small $\alpha$ the rest is summed.

    Args:
        friction: $\gamma$, per unit time.
        dt: $h$, time.
    """

    def __init__(self, friction: Float[Tensor, "*#shape"], dt: Float[Tensor, "*#shape"]):
        self.friction, self.alpha = friction, friction * dt

    def beta(self, theta: float = 1.0) -> Tensor:
        return (-theta * self.alpha).exp()

    def a(self, theta: float = 1.0) -> Tensor:
        return -torch.expm1(-theta * self.alpha) / self.friction

    def b(self, theta: float = 1.0) -> Tensor:
        x = theta * self.alpha
        direct = theta * (x.neg().exp() + x - 1) / x
        return _stable(x, direct, lambda n: theta, shift=1, first=2) / self.friction

    def c_h(self) -> Tensor:
        x = self.alpha
        direct = 6 * (x.neg().exp() * (x + 2) + x - 2) / x**2
        return _stable(x, direct, lambda n: 6 * (2 - n), shift=2, first=3) / self.friction

    def c_k(self) -> Tensor:
        x = self.alpha
        direct = 60 * (x.neg().exp() * (x**2 + 6 * x + 12) - x**2 + 6 * x - 12) / x**3
        return _stable(x, direct, lambda n: 60 * (n - 3) * (n - 4), shift=3, first=5) / self.friction


def _stable(x: Tensor, direct: Tensor, factor: Callable[[int], float], shift: int, first: int) -> Tensor:
    r"""$\sum_{n \ge first} (-1)^n\,factor(n)\,x^{n - shift} / n!$ for small `x`, `direct` else."""
    powers = range(first, first + TERMS)
    weights = x.new_tensor([(-1) ** n * factor(n) / math.factorial(n) for n in powers])
    exponents = x.new_tensor([n - shift for n in powers])
    series = (x.clamp(max=SMALL).unsqueeze(-1) ** exponents * weights).sum(-1)
    return torch.where(x < SMALL, series, direct)
