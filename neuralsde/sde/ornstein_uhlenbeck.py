from jaxtyping import Float
from torch import Tensor

from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time


class OrnsteinUhlenbeck(AbstractSDE):
    r"""Ornstein–Uhlenbeck process $dz = \theta (\mu - z)\,dt + \sigma\,dW$, stationary at $N(\mu, \sigma^2 / 2\theta)$.

    Args:
        rate: $\theta$, per unit time; a number, or a parameter per state, as are the others.
        mean: $\mu$, state.
        sigma: $\sigma$, state per square root of time.
    """

    noise = NoiseType.ADDITIVE
    calculus = Calculus.ITO

    def __init__(
        self,
        rate: float | Float[Tensor, " state"],
        mean: float | Float[Tensor, " state"],
        sigma: float | Float[Tensor, " state"],
    ):
        super().__init__()
        self.rate, self.mean, self.sigma = rate, mean, sigma

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.rate * (self.mean - z)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.sigma * z.new_ones(()).expand_as(z)
