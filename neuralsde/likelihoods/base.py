"""What every observation model answers."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError


class Likelihood(nn.Module, ABC):
    """A read-out from decoder features to the parameter of a distribution, entry by entry.

    `kinds` are the kinds of data it describes, as a `DataSpec` names them: `counts`, `real`, `binary`, `category`.

    Args:
        input_size: decoder features per bin.
        parameter_size: numbers per bin that the distribution is made of.
        readout: `linear`, or `identity` where the features are the parameter.

    Raises:
        ConfigError: there is no such read-out, or features and parameter differ in number where they are to be the same.
    """

    kinds: ClassVar[frozenset[str]]

    def __init__(self, input_size: int, parameter_size: int, readout: str = "linear"):
        super().__init__()
        if readout not in ("linear", "identity"):
            raise ConfigError(f"model.likelihood.readout is {readout!r}; choose linear or identity.")
        if readout == "identity" and input_size != parameter_size:
            raise ConfigError(
                f"model.likelihood.readout is identity, but the decoder hands on {input_size} features for {parameter_size} "
                "values: choose a decoder with one feature per value (model/decoder=video), or readout=linear."
            )
        self.readout = nn.Linear(input_size, parameter_size) if readout == "linear" else nn.Identity()

    def forward(self, features: Float[Tensor, "batch bin feature"]) -> Float[Tensor, "batch bin parameter"]:
        """The distribution's natural parameter."""
        return self.readout(features)

    @abstractmethod
    def log_prob(
        self, parameter: Float[Tensor, "*batch bin target"], y: Float[Tensor, "*batch bin target"]
    ) -> Float[Tensor, "*batch bin target"]:
        """Log-density of the observations `y` in nats, up to `log_base(y)`."""

    def log_base(self, y: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        """What `log_prob` leaves out of the log-density: a term of `y` alone, in nats."""
        return torch.zeros_like(y)

    @abstractmethod
    def mean(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        """Expected observation."""

    def log_mean(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        """Logarithm of the expected observation.

        Raises:
            ConfigError: the observations are no counts, so that their mean need not be positive.
        """
        raise ConfigError(
            f"predict.average=log_rate averages the logarithms of expected counts, but model.likelihood is "
            f"{type(self).__name__}: set predict.average=rate."
        )

    @abstractmethod
    def sample(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        """A draw of the observations, from torch's global generator."""

    def start_at(self, mean: Float[Tensor, " target"]) -> None:
        """Begin at the data's own mean, so that training does not spend its first steps on it."""

    def offset_at(self, parameter: Float[Tensor, " parameter"]) -> None:
        """Let a linear read-out begin at `parameter`; features that are the parameter themselves begin where they do."""
        if isinstance(self.readout, nn.Linear):
            with torch.no_grad():
                self.readout.bias.copy_(parameter)


class CountLikelihood(Likelihood):
    r"""Counts whose mean per bin is $e^{\lambda}$, with the read-out $\lambda$.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
        smallest_mean: floor of the start's expected count, for channels that never fire.
    """

    kinds = frozenset({"counts"})

    def __init__(self, input_size: int, target_dim: int, smallest_mean: float = 1e-4):
        super().__init__(input_size, target_dim)
        self.smallest_mean = smallest_mean

    def mean(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        return parameter.exp()

    def log_mean(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        return parameter

    def start_at(self, mean: Float[Tensor, " target"]) -> None:
        self.offset_at(mean.clamp(min=self.smallest_mean).log())
