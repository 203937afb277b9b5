"""Observation models: features in, a distribution over the observations out."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Likelihood(nn.Module, ABC):
    """A read-out from decoder features to the parameters of a distribution, entry by entry.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
    """

    def __init__(self, input_size: int, target_dim: int):
        super().__init__()
        self.readout = nn.Linear(input_size, target_dim)

    def forward(self, features: Float[Tensor, "batch bin feature"]) -> Float[Tensor, "batch bin target"]:
        """The distribution's natural parameter."""
        return self.readout(features)

    @abstractmethod
    def log_prob(
        self, parameter: Float[Tensor, "batch bin target"], y: Float[Tensor, "batch bin target"]
    ) -> Float[Tensor, "batch bin target"]:
        """Log-density of the observations `y`, up to terms that depend on `y` alone."""

    @abstractmethod
    def mean(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        """Expected observation."""

    def log_mean(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        """Logarithm of the expected observation."""
        return self.mean(parameter).log()

    def start_at(self, mean: Float[Tensor, " target"]) -> None:
        """Begin at the data's own mean, so that training does not spend its first steps on it."""


class Poisson(Likelihood):
    r"""Spike counts $y \sim \mathrm{Poisson}(e^{\lambda})$ with the read-out $\lambda$ the log of the expected count per bin.

    `log_prob` is $y\lambda - e^{\lambda}$; the constant $-\ln y!$ is left out.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
        smallest_mean: floor of the start's expected count, for channels that never fire.
    """

    def __init__(self, input_size: int, target_dim: int, smallest_mean: float = 1e-4):
        super().__init__(input_size, target_dim)
        self.smallest_mean = smallest_mean

    def log_prob(
        self, parameter: Float[Tensor, "batch bin target"], y: Float[Tensor, "batch bin target"]
    ) -> Float[Tensor, "batch bin target"]:
        return y * parameter - parameter.exp()

    def mean(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        return parameter.exp()

    def log_mean(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        return parameter

    def start_at(self, mean: Float[Tensor, " target"]) -> None:
        with torch.no_grad():
            self.readout.bias.copy_(mean.clamp(min=self.smallest_mean).log())
