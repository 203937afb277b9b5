import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.likelihoods.base import CountLikelihood


class Poisson(CountLikelihood):
    r"""Spike counts $y \sim \mathrm{Poisson}(e^{\lambda})$ with the read-out $\lambda$ the log of the expected count per bin.

    `log_prob` is $y\lambda - e^{\lambda}$; the constant $-\ln y!$ is left out, and is what `log_base` gives.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
        smallest_mean: floor of the start's expected count, for channels that never fire.
    """

    def log_prob(
        self, parameter: Float[Tensor, "*batch bin target"], y: Float[Tensor, "*batch bin target"]
    ) -> Float[Tensor, "*batch bin target"]:
        return y * parameter - parameter.exp()

    def log_base(self, y: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        return -torch.lgamma(y + 1)

    def sample(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        return torch.poisson(parameter.exp())
