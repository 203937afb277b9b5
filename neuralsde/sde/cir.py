import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time


class CoxIngersollRoss(AbstractSDE):
    r"""Cox–Ingersoll–Ross process $dz = a (b - z)\,dt + \sigma \sqrt z\,dW$.

    The solution stays non-negative, and positive if $2 a b \ge \sigma^2$ (Feller); an explicit solver's may not, so
    the root is taken of the positive part. `DriftImplicitCIR` and `StrangCIR` are made for it.

    Args:
        rate: $a$, per unit time.
        mean: $b$, state.
        sigma: $\sigma$, square root of (state per time).
    """

    noise = NoiseType.DIAGONAL
    calculus = Calculus.ITO

    def __init__(self, rate: float, mean: float, sigma: float):
        super().__init__()
        self.rate, self.mean, self.sigma = rate, mean, sigma

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.rate * (self.mean - z)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        # The smallest positive number instead of 0 keeps the root's derivative finite.
        return self.sigma * z.clamp(min=torch.finfo(z.dtype).tiny).sqrt()
