from jaxtyping import Float
from torch import Tensor

from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time


class DoubleWell(AbstractSDE):
    r"""Motion between two wells, $dz = a z (1 - z^2)\,dt + \sigma\,dW$: stable points at $\pm 1$, barrier at 0.

    The stationary density is proportional to $\exp\bigl(-\frac{a}{2\sigma^2}(1 - z^2)^2\bigr)$.

    Args:
        stiffness: $a$, per unit time.
        sigma: $\sigma$, state per square root of time.
    """

    noise = NoiseType.ADDITIVE
    calculus = Calculus.ITO

    def __init__(self, stiffness: float = 4.0, sigma: float = 1.0):
        super().__init__()
        self.stiffness, self.sigma = stiffness, sigma

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.stiffness * z * (1 - z**2)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return z.new_full((), self.sigma).expand_as(z)
