import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.likelihoods.gaussian import AbstractGaussian
from neuralsde.nn.dropout import Dropout


class HeteroscedasticGaussian(AbstractGaussian):
    r"""Real values $y \sim \mathcal N(m, \sigma^2)$, both read out: the model says of each value how sure it is.

    The parameter lists the means of all channels, then $\log(\sigma - \sigma_{\min})$ of all.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
        noise_std: $\sigma$ at the start, in the unit of the targets.
        smallest_std: $\sigma_{\min}$, the floor of $\sigma$, likewise.
        beta: the gradient of each value's log-density is weighed by $\sigma^{2\beta}$: at 0 it is that of the likelihood, at 1
            the mean learns as from squared errors, so that values of which the model is unsure count as much as others. But
            then small $\sigma$ hardly learn.
        faithful: mean and features learn from squared errors alone; $\sigma$ learns by the likelihood, through a net of its own
            that reads the features without teaching them. The mean is that of a model without $\sigma$.
        scale_size: width of that net's hidden layer.
        scale_dropout: dropout probability behind it.

    Raises:
        ConfigError: the noise does not start above its floor, or `beta` is not in [0, 1], or above 0 where `faithful`.

    Reference: Seitzer, Tavakoli, Antic, Martius, *On the pitfalls of heteroscedastic uncertainty estimation with probabilistic
    neural networks*, 2022, arXiv:2203.09168 (`beta`); Stirn et al., *Faithful heteroscedastic regression with neural
    networks*, 2023, arXiv:2212.09184 (`faithful`).
    """

    def __init__(
        self,
        input_size: int,
        target_dim: int,
        noise_std: float = 1.0,
        smallest_std: float = 1e-3,
        beta: float = 0.0,
        faithful: bool = False,
        scale_size: int = 64,
        scale_dropout: float = 0.0,
    ):
        super().__init__(input_size, target_dim if faithful else 2 * target_dim)
        if not 0 <= smallest_std < noise_std < math.inf:
            raise ConfigError(
                f"model.likelihood got noise_std={noise_std} and smallest_std={smallest_std}; start the noise above its floor."
            )
        if not 0 <= beta <= 1:
            raise ConfigError(f"model.likelihood.beta is {beta}; give a number from 0 to 1.")
        if faithful and beta:
            raise ConfigError(f"model.likelihood.beta is {beta}, but faithful=true weighs nothing; set it to 0.")
        self.smallest_std, self.beta, self.faithful = smallest_std, beta, faithful
        if faithful:
            hidden = nn.Linear(input_size, scale_size), nn.GELU(), Dropout(scale_dropout)
            self.scale_net = nn.Sequential(*hidden, nn.Linear(scale_size, target_dim))
        self.start_at(torch.zeros(target_dim), math.log(noise_std - smallest_std))
        with torch.no_grad():
            self.scale_layer.weight[-target_dim:] *= 0.1

    @property
    def scale_layer(self) -> nn.Linear:
        r"""The layer whose last outputs are $\log(\sigma - \sigma_{\min})$."""
        layer = self.scale_net[-1] if self.faithful else self.readout
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, features: Float[Tensor, "batch bin feature"]) -> Float[Tensor, "batch bin parameter"]:
        if not self.faithful:
            return super().forward(features)
        return torch.cat([super().forward(features), self.scale_net(features.detach())], -1)

    def moments(self, parameter: Float[Tensor, "*batch bin parameter"]) -> tuple[Tensor, Tensor]:
        mean, log_excess = parameter.chunk(2, dim=-1)
        return mean, self.smallest_std + log_excess.clamp(-12.0, 12.0).exp()

    def log_prob(
        self, parameter: Float[Tensor, "*batch bin parameter"], y: Float[Tensor, "*batch bin target"]
    ) -> Float[Tensor, "*batch bin target"]:
        mean, std = self.moments(parameter)
        if self.faithful:
            square = -0.5 * (y - mean).square()
            return self.log_density((y - mean.detach()) / std) - std.log() + (square - square.detach())
        log_prob = self.log_density((y - mean) / std) - std.log()
        if not self.beta or not log_prob.requires_grad:
            return log_prob
        weight = std.detach() ** (2 * self.beta)
        return log_prob.detach() + weight * (log_prob - log_prob.detach())

    def log_density(self, z: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        r"""Log-density of $z = (y - m) / \sigma$."""
        return -0.5 * z.square() - 0.5 * math.log(2 * math.pi)

    def start_at(self, mean: Float[Tensor, " target"], log_excess: float | None = None) -> None:
        with torch.no_grad():
            bias = self.scale_layer.bias
            if log_excess is not None:
                bias[-len(mean) :] = log_excess
            assert isinstance(self.readout, nn.Linear)
            self.readout.bias[: len(mean)] = mean
