import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time


class StochasticLorenz(AbstractSDE):
    r"""The Lorenz attractor with noise proportional to each coordinate, $dz_i = f_i(z)\,dt + \alpha z_i\,dW_i$, where

    $$f(z) = \bigl(\sigma (z_2 - z_1),\; z_1 (\rho - z_3) - z_2,\; z_1 z_2 - \beta z_3\bigr).$$

    Args:
        prandtl: $\sigma$, per unit time.
        rayleigh: $\rho$, per unit time.
        beta: $\beta$, per unit time.
        alpha: $\alpha$, per square root of time.

    Reference: Li, Wong, Chen, Duvenaud, "Scalable gradients for stochastic differential equations", arXiv 2001.01328.
    """

    noise = NoiseType.DIAGONAL
    calculus = Calculus.ITO

    def __init__(self, prandtl: float = 10.0, rayleigh: float = 28.0, beta: float = 8 / 3, alpha: float = 0.15):
        super().__init__()
        self.prandtl, self.rayleigh, self.beta, self.alpha = prandtl, rayleigh, beta, alpha

    def drift(self, t: Time, z: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        x, y, s = z.unbind(-1)
        return torch.stack([self.prandtl * (y - x), x * (self.rayleigh - s) - y, x * y - self.beta * s], -1)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        return self.alpha * z
