import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.likelihoods.gaussian import AbstractGaussian


class HeteroscedasticGaussian(AbstractGaussian):
    r"""Real values $y \sim \mathcal N(m, \sigma^2)$, both read out: the model says of each value how sure it is.

    The parameter lists the means of all channels, then $\log(\sigma - \sigma_{\min})$ of all.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
        noise_std: $\sigma$ at the start, in the unit of the targets.
        smallest_std: $\sigma_{\min}$, the floor of $\sigma$, likewise.
        beta: the gradient of each value's log-density is weighed by $\sigma^{2\beta}$: at 0 it is that of the likelihood, at 1
            the mean learns as from squared errors, so that values of which the model is unsure count as much as others.

    Raises:
        ConfigError: the noise does not start above its floor, or `beta` is not in [0, 1].

    Reference: Seitzer, Tavakoli, Antic, Martius, *On the pitfalls of heteroscedastic uncertainty estimation with probabilistic
    neural networks*, 2022, arXiv:2203.09168.
    """

    def __init__(self, input_size: int, target_dim: int, noise_std: float = 1.0, smallest_std: float = 1e-3, beta: float = 0.0):
        super().__init__(input_size, 2 * target_dim)
        if not 0 <= smallest_std < noise_std < math.inf:
            raise ConfigError(
                f"model.likelihood got noise_std={noise_std} and smallest_std={smallest_std}; start the noise above its floor."
            )
        if not 0 <= beta <= 1:
            raise ConfigError(f"model.likelihood.beta is {beta}; give a number from 0 to 1.")
        self.smallest_std, self.beta = smallest_std, beta
        self.start_at(torch.zeros(target_dim), math.log(noise_std - smallest_std))
        with torch.no_grad():
            assert isinstance(self.readout, nn.Linear)
            self.readout.weight[target_dim:] *= 0.1

    def moments(self, parameter: Float[Tensor, "*batch bin parameter"]) -> tuple[Tensor, Tensor]:
        mean, log_excess = parameter.chunk(2, dim=-1)
        return mean, self.smallest_std + log_excess.clamp(-12.0, 12.0).exp()

    def log_prob(
        self, parameter: Float[Tensor, "*batch bin parameter"], y: Float[Tensor, "*batch bin target"]
    ) -> Float[Tensor, "*batch bin target"]:
        log_prob = super().log_prob(parameter, y)
        if not self.beta or not log_prob.requires_grad:
            return log_prob
        weight = self.moments(parameter)[1].detach() ** (2 * self.beta)
        return log_prob.detach() + weight * (log_prob - log_prob.detach())

    def start_at(self, mean: Float[Tensor, " target"], log_excess: float | None = None) -> None:
        assert isinstance(self.readout, nn.Linear)
        rest = self.readout.bias.detach()[len(mean) :] if log_excess is None else torch.full_like(mean, log_excess)
        self.offset_at(torch.cat([mean, rest]))
