import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.likelihoods.base import Likelihood


class Bernoulli(Likelihood):
    r"""Binary values, $y \sim \mathrm{Bernoulli}(1 / (1 + e^{-a}))$ with the read-out $a$ the logit.

    `log_prob` is $ya - \ln(1 + e^{a})$.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
        smallest_probability: distance that the start's probability keeps from 0 and 1, for channels that never change.
    """

    kinds = frozenset({"binary"})

    def __init__(self, input_size: int, target_dim: int, smallest_probability: float = 1e-4):
        super().__init__(input_size, target_dim)
        self.smallest_probability = smallest_probability

    def log_prob(
        self, parameter: Float[Tensor, "*batch bin target"], y: Float[Tensor, "*batch bin target"]
    ) -> Float[Tensor, "*batch bin target"]:
        return y * parameter - nn.functional.softplus(parameter)

    def mean(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        return parameter.sigmoid()

    def sample(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        return torch.bernoulli(parameter.sigmoid())

    def start_at(self, mean: Float[Tensor, " target"]) -> None:
        self.offset_at(mean.logit(eps=self.smallest_probability))
