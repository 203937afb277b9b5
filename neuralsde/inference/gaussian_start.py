import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.inference.path import LatentProcess, check_sizes
from neuralsde.inference.scale import DiagonalScale


class GaussianStart(LatentProcess):
    r"""What processes share that start Gaussian in their equation's unconstrained coordinates.

    Under the posterior the start is as a summary of the context says, under the prior it has a mean and a variance that are
    learned from $\mathcal N(0, s^2)$ on.

    Args:
        summary_size: channels of the summary.
        latent_size: size of the state.
        duration_s: how long a trial lasts, in seconds.
        model_time: how long it lasts for the equation, whose coefficients are of order one per unit; None for seconds.
        initial_log_var: offset of the posterior's log-variances, so that paths start out informative.
        substeps: solver steps per bin.
        prior_std: $s$.

    Raises:
        ConfigError: a size or a time is impossible.
    """

    def __init__(
        self,
        summary_size: int,
        latent_size: int,
        duration_s: float,
        model_time: float | None,
        initial_log_var: float,
        substeps: int = 1,
        prior_std: float = 1.0,
    ):
        super().__init__()
        check_sizes(latent_size, substeps, model_time, initial_log_var, prior_std)
        self.per_second = 1.0 if model_time is None else model_time / duration_s
        self.initial_log_var = initial_log_var
        self.initial = nn.Linear(summary_size, 2 * latent_size)
        self.prior_mean = nn.Parameter(torch.zeros(latent_size))
        self.prior_log_var = nn.Parameter(torch.full((latent_size,), 2 * math.log(prior_std)))
        self.output_size = latent_size

    def posterior_start(self, summary: Float[Tensor, "batch summary"]) -> tuple[Float[Tensor, "batch state"], DiagonalScale]:
        """Mean and scale of the start's coordinates, given the observations."""
        mean, log_var = self.initial(summary).chunk(2, dim=1)
        return mean, DiagonalScale((log_var + self.initial_log_var)[None] / 2)

    def prior_start(self, n: int) -> Float[Tensor, "n state"]:
        """Coordinates of the start, drawn from the prior."""
        like: dict[str, Any] = {"dtype": self.prior_mean.dtype, "device": self.prior_mean.device}
        return self.prior_mean + torch.exp(self.prior_log_var / 2) * torch.randn(n, self.output_size, **like)

    def clock(self, times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "bin #batch 1"]:
        """Times in units of the equation, as solvers take them."""
        return times.t()[..., None] * self.per_second
