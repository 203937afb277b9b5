from jaxtyping import Float
from torch import Tensor

from neuralsde.sde.base import Time
from neuralsde.sde.multiplicative import AbstractGeometric


class GeometricBrownian(AbstractGeometric):
    r"""Geometric Brownian motion $dz = \mu z\,dt + \sigma z\,dW$ (Itô).

    Its solution is $z_t = z_0 \exp\bigl((\mu - \sigma^2/2)\,t + \sigma W_t\bigr)$.

    Args:
        mu: $\mu$, per unit time; a number, or a parameter per state, as is the other.
        sigma: $\sigma$, per square root of time.
    """

    def __init__(self, mu: float | Float[Tensor, " state"], sigma: float | Float[Tensor, " state"]):
        super().__init__()
        self.mu, self.sigma = mu, sigma

    def growth(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.mu * z.new_ones(()).expand_as(z)

    def volatility(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*#batch #state"]:
        return self.sigma * z.new_ones(()).expand_as(z)
