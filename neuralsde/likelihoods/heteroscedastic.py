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

    Raises:
        ConfigError: the noise does not start above its floor.
    """

    def __init__(self, input_size: int, target_dim: int, noise_std: float = 1.0, smallest_std: float = 1e-3):
        super().__init__(input_size, 2 * target_dim)
        if not 0 <= smallest_std < noise_std < math.inf:
            raise ConfigError(
                f"model.likelihood got noise_std={noise_std} and smallest_std={smallest_std}; start the noise above its floor."
            )
        self.smallest_std = smallest_std
        self.start_at(torch.zeros(target_dim), math.log(noise_std - smallest_std))
        with torch.no_grad():
            assert isinstance(self.readout, nn.Linear)
            self.readout.weight[target_dim:] *= 0.1

    def moments(self, parameter: Float[Tensor, "*batch bin parameter"]) -> tuple[Tensor, Tensor]:
        mean, log_excess = parameter.chunk(2, dim=-1)
        return mean, self.smallest_std + log_excess.clamp(-12.0, 12.0).exp()

    def start_at(self, mean: Float[Tensor, " target"], log_excess: float | None = None) -> None:
        assert isinstance(self.readout, nn.Linear)
        rest = self.readout.bias.detach()[len(mean) :] if log_excess is None else torch.full_like(mean, log_excess)
        self.offset_at(torch.cat([mean, rest]))
