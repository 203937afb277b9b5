import math
from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.likelihoods.base import Likelihood


class AbstractGaussian(Likelihood):
    r"""Real values $y \sim \mathcal N(m, \sigma^2)$, given the parameter. A subclass says what $m$ and $\sigma$ are."""

    kinds = frozenset({"real"})

    @abstractmethod
    def moments(self, parameter: Float[Tensor, "*batch bin parameter"]) -> tuple[Tensor, Tensor]:
        r"""$m$ and $\sigma$, each of a shape that broadcasts to (*batch, bin, target)."""

    def components(self, parameter: Float[Tensor, "*batch bin parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        r"""Means and deviations of the Gaussians that the density is a mixture of, (component, *batch, bin, target), and their
        weights, (component, target); here one.
        """
        mean, std = self.moments(parameter)
        return mean[None], std.expand_as(mean)[None], mean.new_ones(1, mean.shape[-1])

    def log_prob(
        self, parameter: Float[Tensor, "*batch bin parameter"], y: Float[Tensor, "*batch bin target"]
    ) -> Float[Tensor, "*batch bin target"]:
        mean, std = self.moments(parameter)
        return -0.5 * ((y - mean) / std).square() - std.log() - 0.5 * math.log(2 * math.pi)

    def mean(self, parameter: Float[Tensor, "*batch bin parameter"]) -> Float[Tensor, "*batch bin target"]:
        return self.moments(parameter)[0]

    def sample(self, parameter: Float[Tensor, "*batch bin parameter"]) -> Float[Tensor, "*batch bin target"]:
        mean, std = self.moments(parameter)
        return mean + std * torch.randn_like(mean)


class Gaussian(AbstractGaussian):
    r"""Real values $y \sim \mathcal N(m, \sigma^2)$ with the read-out $m$ and one noise $\sigma$ per channel.

    `readout` and `noise_std()` are all there is to it: under linear dynamics the evidence has a closed form in them.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
        noise_std: $\sigma$ at the start, in the data's unit.
        learn_noise: whether $\sigma$ is learned.
        smallest_std: floor of $\sigma$, in the data's unit. Without one, a channel that the model can follow exactly has an
            unbounded likelihood.
        noise_rate: $\rho$ in $\sigma = \sigma_0 + e^{\rho \theta}$, with the floor $\sigma_0$ and a learned $\theta$: Adam
            moves any parameter by about its learning rate, so that the noise falls $\rho$ times as fast.
        readout: `linear`, or `identity` where the decoder's features are $m$ themselves, such as the pixels of a frame. With a
            fixed $\sigma^2 = 1/2$, $-\ln p$ is then the sum of squared errors and a constant.

    Raises:
        ConfigError: the noise does not start above its floor, its rate is not above 0, or features and channels differ in
            number.
    """

    def __init__(
        self,
        input_size: int,
        target_dim: int,
        noise_std: float = 0.1,
        learn_noise: bool = True,
        smallest_std: float = 1e-3,
        readout: str = "linear",
        noise_rate: float = 1.0,
    ):
        super().__init__(input_size, target_dim, readout)
        if not 0 <= smallest_std < noise_std < math.inf:
            raise ConfigError(
                f"model.likelihood got noise_std={noise_std} and smallest_std={smallest_std}; start the noise above its floor."
            )
        if not 0 < noise_rate < math.inf:
            raise ConfigError(f"model.likelihood.noise_rate is {noise_rate}; give a number above 0, such as 1.")
        self.smallest_std, self.noise_rate = smallest_std, noise_rate
        start = torch.full((target_dim,), math.log(noise_std - smallest_std) / noise_rate)
        self.log_excess_std = nn.Parameter(start, requires_grad=learn_noise)

    def noise_std(self) -> Float[Tensor, " target"]:
        r"""$\sigma$, in the data's unit."""
        return self.smallest_std + (self.noise_rate * self.log_excess_std).exp()

    def moments(self, parameter: Float[Tensor, "*batch bin target"]) -> tuple[Tensor, Tensor]:
        return parameter, self.noise_std()

    def start_at(self, mean: Float[Tensor, " target"]) -> None:
        self.offset_at(mean)
