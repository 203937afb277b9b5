"""Equations whose noise, or whose noise and drift, are proportional to the state: what sign-keeping solvers need."""

import abc

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time


class AbstractLinearNoise(AbstractSDE):
    r"""$dz = f(t, z)\,dt + \sigma(t)\,z\,dW$ (Itô, elementwise)."""

    noise = NoiseType.DIAGONAL
    calculus = Calculus.ITO

    @abc.abstractmethod
    def volatility(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*#batch #state"]:
        r"""$\sigma(t)$, per square root of time, of a shape that broadcasts against `z`."""

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.volatility(t, z) * z

    def in_coordinates(
        self, t: Time, y: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]:
        raise ConfigError(
            f"The noise of {type(self).__name__} vanishes where its state is zero, and a Gaussian marginal has mass there: the "
            "divergence would be infinite. Choose model/dynamics=geometric or neural, or objective=elbo, which simulates."
        )


class AbstractGeometric(AbstractLinearNoise):
    r"""$dz = \gamma(t, z)\,z\,dt + \sigma(t)\,z\,dW$ (Itô, elementwise): a component never changes its sign."""

    @abc.abstractmethod
    def growth(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        r"""$\gamma(t, z)$, per unit time."""

    def log_drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        r"""$\gamma - \frac12 \sigma^2$, the drift of $\log |z|$ by Itô's formula, per unit time."""
        return self.growth(t, z) - self.volatility(t, z) ** 2 / 2

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.growth(t, z) * z

    def in_coordinates(
        self, t: Time, y: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]:
        z = self.from_coordinates(y)
        return self.log_drift(t, z), self.volatility(t, z).expand_as(y), torch.zeros_like(y)

    def coordinates(self, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        r"""$\log |z|$, whose noise is additive."""
        return z.abs().clamp(min=torch.finfo(z.dtype).tiny).log()

    def from_coordinates(self, y: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return y.exp()
