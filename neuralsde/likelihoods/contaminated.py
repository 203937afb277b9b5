import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.likelihoods.heteroscedastic import HeteroscedasticGaussian


class ContaminatedGaussian(HeteroscedasticGaussian):
    r"""A heteroscedastic Gaussian with heavier tails:

    $$y \sim (1 - \epsilon)\,\mathcal N(m, \sigma^2) + \epsilon\,\mathcal N(m, k^2 \sigma^2).$$

    A share of the values, such as those after an impact that nothing foretold, is as far off as a Gaussian never is; without
    them $\sigma$ tells how sure the model is of all others. Share $\epsilon$ and width $k$ are learned, channel by channel.

    Args:
        input_size: see `HeteroscedasticGaussian`, as all arguments that are not named here.
        target_dim: see there.
        share: $\epsilon$ at the start.
        width: $k$ at the start, above 1.

    Raises:
        ConfigError: see there; or share or width are impossible.

    Reference: Tukey, *A survey of sampling from contaminated distributions*, 1960.
    """

    def __init__(self, input_size: int, target_dim: int, share: float = 0.1, width: float = 3.0, **settings: Any):
        super().__init__(input_size, target_dim, **settings)
        if not 0 < share < 1 or not 1 < width < math.inf:
            raise ConfigError(
                f"model.likelihood got share={share} and width={width}; give a share between 0 and 1 and a width above 1."
            )
        self.logit_share = nn.Parameter(torch.full((target_dim,), math.log(share / (1 - share))))
        self.log_excess_width = nn.Parameter(torch.full((target_dim,), math.log(width - 1)))

    @property
    def width(self) -> Float[Tensor, " target"]:
        r"""$k$."""
        return 1 + self.log_excess_width.exp()

    def log_density(self, z: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        near = nn.functional.logsigmoid(-self.logit_share) + super().log_density(z)
        far = nn.functional.logsigmoid(self.logit_share) + super().log_density(z / self.width) - self.width.log()
        return torch.logaddexp(near, far)

    def components(self, parameter: Float[Tensor, "*batch bin parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        mean, std = self.moments(parameter)
        share = torch.sigmoid(self.logit_share)
        return mean.expand(2, *mean.shape), torch.stack([std, std * self.width]), torch.stack([1 - share, share])

    def sample(self, parameter: Float[Tensor, "*batch bin parameter"]) -> Float[Tensor, "*batch bin target"]:
        mean, std = self.moments(parameter)
        far = torch.rand_like(std) < torch.sigmoid(self.logit_share)
        return mean + std * torch.where(far, self.width, 1.0) * torch.randn_like(std)
