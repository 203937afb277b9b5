import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributions, nn

from neuralsde.errors import ConfigError
from neuralsde.likelihoods.base import Likelihood


def is_positive(weight: Any) -> bool:
    """Whether it is a finite number above 0, truth values apart."""
    return isinstance(weight, int | float) and type(weight) is not bool and 0 < weight < math.inf


class Categorical(Likelihood):
    r"""Class indices, $p(y = k) = e^{a_k} / \sum_j e^{a_j}$ with the read-out $a$, `n_classes` logits per channel.

    Observations hold a class index per channel, as floats; the parameter lists the logits of the first channel, then those
    of the second, and so on: (batch, bin, target · class), here called `logit`. The mean index of a class says nothing, so
    `mean` gives the classes' probabilities in the same order, and the start is the uniform distribution's.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
        n_classes: classes of each channel.
        smoothing: share of each observation that is spread evenly over all classes while training, so that logits stay bounded
            (Szegedy et al., 2016, arXiv:1512.00567).
        xavier: start from Glorot's uniform weights, which are larger than torch's own, and offsets of 0.01, as the published
            stable neural SDEs do.
        class_weights: how much each class weighs while learning, such as [1, 10] where the second one is rare; None for alike.

    Raises:
        ConfigError: there are fewer than two classes, not as many positive weights, or `smoothing` is no share.
    """

    kinds = frozenset({"category"})

    def __init__(
        self,
        input_size: int,
        target_dim: int,
        n_classes: int,
        class_weights: Sequence[int | float] | None = None,
        smoothing: float = 0.0,
        xavier: bool = False,
    ):
        if n_classes < 2:
            raise ConfigError(
                f"model.likelihood.n_classes is {n_classes}, but Categorical tells at least 2 classes apart: choose data whose "
                "entries are class indices, or another model/likelihood."
            )
        super().__init__(input_size, target_dim * n_classes)
        if not 0 <= smoothing < 1:
            raise ConfigError(f"model.likelihood.smoothing is {smoothing}; give a share from 0 to below 1.")
        self.n_classes, self.smoothing = n_classes, smoothing
        if xavier and isinstance(self.readout, nn.Linear):
            nn.init.xavier_uniform_(self.readout.weight)
            nn.init.constant_(self.readout.bias, 0.01)
        weights = [1.0] * n_classes if class_weights is None else list(class_weights)
        if len(weights) != n_classes or not all(is_positive(weight) for weight in weights):
            raise ConfigError(
                f"model.likelihood.class_weights is {weights}; give one positive number for each of the {n_classes} classes."
            )
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32), persistent=False)

    def logits(self, parameter: Float[Tensor, "*batch bin logit"]) -> Float[Tensor, "*batch bin target class"]:
        """The parameter with an axis for the classes."""
        return parameter.unflatten(-1, (-1, self.n_classes))

    def log_prob(
        self, parameter: Float[Tensor, "*batch bin logit"], y: Float[Tensor, "*batch bin target"]
    ) -> Float[Tensor, "*batch bin target"]:
        each = self.logits(parameter).log_softmax(-1)
        found = each.gather(-1, y.long()[..., None])[..., 0]
        if not self.training:
            return found
        return torch.lerp(found, each.mean(-1), self.smoothing) * self.weights[y.long()]

    def mean(self, parameter: Float[Tensor, "*batch bin logit"]) -> Float[Tensor, "*batch bin logit"]:
        return self.logits(parameter).softmax(-1).flatten(-2)

    def sample(self, parameter: Float[Tensor, "*batch bin logit"]) -> Float[Tensor, "*batch bin target"]:
        return distributions.Categorical(logits=self.logits(parameter), validate_args=False).sample().to(parameter.dtype)
