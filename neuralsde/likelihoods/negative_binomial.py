import math

import torch
from jaxtyping import Float
from torch import Tensor, distributions, nn

from neuralsde.errors import ConfigError
from neuralsde.likelihoods.base import CountLikelihood

STIRLING_FROM = 10.0  # the series is exact to 1e-10 from here on


class NegativeBinomial(CountLikelihood):
    r"""Counts that vary more than Poisson's: mean $\mu = e^{\lambda}$, variance $\mu + \alpha\mu^2$, $\alpha$ learned per unit.

    With $r = 1/\alpha$ and $s = \ln(1 + \mu/r)$,

    $$\ln p(y) = \ln\frac{\Gamma(y + r)}{\Gamma(r)\,r^y} + y\,(\lambda - s) - r s - \ln y! ,$$

    the whole log-density: the terms of $r$ alone matter because $r$ is learned. As $\alpha \to 0$ it is Poisson's, also
    numerically. Beside a Poisson model's log-likelihood, add `log_base` to that one first.

    Args:
        input_size: decoder features per bin.
        target_dim: observed channels.
        dispersion: $\alpha$ at the start.
        smallest_mean: floor of the start's expected count, for channels that never fire.

    Raises:
        ConfigError: the dispersion is not positive.
    """

    def __init__(self, input_size: int, target_dim: int, dispersion: float = 0.1, smallest_mean: float = 1e-4):
        super().__init__(input_size, target_dim, smallest_mean)
        if not 0 < dispersion < math.inf:
            raise ConfigError(
                f"model.likelihood.dispersion is {dispersion}; give a positive number, or choose Poisson for none."
            )
        self.log_dispersion = nn.Parameter(torch.full((target_dim,), math.log(dispersion)))

    def log_prob(
        self, parameter: Float[Tensor, "*batch bin target"], y: Float[Tensor, "*batch bin target"]
    ) -> Float[Tensor, "*batch bin target"]:
        r = torch.exp(-self.log_dispersion)
        s = nn.functional.softplus(parameter + self.log_dispersion)
        return log_rising_factorial(r, y) + y * (parameter - s) - r * s - torch.lgamma(y + 1)

    def sample(self, parameter: Float[Tensor, "*batch bin target"]) -> Float[Tensor, "*batch bin target"]:
        r = torch.exp(-self.log_dispersion)
        return distributions.NegativeBinomial(r, logits=parameter + self.log_dispersion, validate_args=False).sample()


def log_rising_factorial(r: Float[Tensor, " target"], y: Float[Tensor, "*batch target"]) -> Float[Tensor, "*batch target"]:
    r"""$\ln \Gamma(r + y) - \ln \Gamma(r) - y \ln r$, zero in the limit of large $r$.

    There the two logarithms of $\Gamma$ cancel (single precision is 6e-2 off at $r = 10^5$), so Stirling's series is
    subtracted term by term instead.
    """
    small, large = r.clamp(max=STIRLING_FROM), r.clamp(min=STIRLING_FROM)
    gammas = torch.lgamma(small + y) - torch.lgamma(small) - y * small.log()
    series = (large + y - 0.5) * torch.log1p(y / large) - y + stirling_tail(large + y) - stirling_tail(large)
    return torch.where(r < STIRLING_FROM, gammas, series)


def stirling_tail(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""$\ln\Gamma(x) - (x - \tfrac12)\ln x + x - \tfrac12\ln 2\pi$, to $x^{-5}$."""
    square = x.square()
    return (1 / 12 - (1 / 360 - 1 / (1260 * square)) / square) / x
