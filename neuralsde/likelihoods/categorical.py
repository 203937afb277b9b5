import torch
from jaxtyping import Float
from torch import Tensor, distributions, nn

from neuralsde.errors import ConfigError
from neuralsde.likelihoods.base import Likelihood


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

    Raises:
        ConfigError: there are fewer than two classes, or `smoothing` is no share.
    """

    kinds = frozenset({"category"})

    def __init__(self, input_size: int, target_dim: int, n_classes: int, smoothing: float = 0.0, xavier: bool = False):
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

    def logits(self, parameter: Float[Tensor, "*batch bin logit"]) -> Float[Tensor, "*batch bin target class"]:
        """The parameter with an axis for the classes."""
        return parameter.unflatten(-1, (-1, self.n_classes))

    def log_prob(
        self, parameter: Float[Tensor, "*batch bin logit"], y: Float[Tensor, "*batch bin target"]
    ) -> Float[Tensor, "*batch bin target"]:
        each = self.logits(parameter).log_softmax(-1)
        found = each.gather(-1, y.long()[..., None])[..., 0]
        return torch.lerp(found, each.mean(-1), self.smoothing) if self.training and self.smoothing else found

    def mean(self, parameter: Float[Tensor, "*batch bin logit"]) -> Float[Tensor, "*batch bin logit"]:
        return self.logits(parameter).softmax(-1).flatten(-2)

    def sample(self, parameter: Float[Tensor, "*batch bin logit"]) -> Float[Tensor, "*batch bin target"]:
        return distributions.Categorical(logits=self.logits(parameter), validate_args=False).sample().to(parameter.dtype)
