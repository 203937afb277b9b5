from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.inference.bin_clock import check_method, solve_over_bins
from neuralsde.inference.gaussian_start import GaussianStart
from neuralsde.inference.path import Estimator, Evidence, LatentPath, gaussian_sample, refuse_memory
from neuralsde.noise import AbstractNoise
from neuralsde.sde import AbstractSDE


class LatentODE(GaussianStart):
    r"""The limiting case without noise, $\mathrm dz = f(t, z)\,\mathrm dt$: only the start is inferred.

    Args:
        context_size: channels of the encoder's context.
        latent_size: size of the state.
        sde: makes the equation from `state_size`; its drift alone is used.
        duration_s: how long a trial lasts, in seconds.
        model_time: how long it lasts for the equation; None for seconds.
        method: one of `bin_clock.METHODS`, as torchdiffeq names them; those of fixed step take one step per bin.
        initial_log_var: offset of the initial posterior's log-variances.
        noise: of the model; none drives an ordinary equation, so that any but the default is refused.

    Reference: Chen, Rubanova, Bettencourt, Duvenaud, *Neural ordinary differential equations*, 2018, arXiv:1806.07366.
    """

    def __init__(
        self,
        context_size: int,
        latent_size: int,
        sde: Callable[..., AbstractSDE],
        duration_s: float,
        model_time: float | None = None,
        method: str = "rk4",
        initial_log_var: float = -2.0,
        noise: Callable[..., AbstractNoise] | None = None,
    ):
        refuse_memory(noise, type(self).__name__)
        check_method(method)
        # The summary of a trial: the first bin's context and the mean over bins, for encoders that look back only.
        super().__init__(2 * context_size, latent_size, duration_s, model_time, initial_log_var)
        self.sde, self.method = sde(state_size=latent_size), method

    def forward(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
        samples: int = 1,
    ) -> LatentPath:
        summary = torch.cat([context[:, 0], context[:, :observed_bins].mean(1)], 1)
        y0, kl = gaussian_sample(*self.posterior_start(summary), self.prior_mean, self.prior_log_var, estimator)
        states = self._solve(self.sde.prepared().from_coordinates(y0), times)
        return LatentPath(states, {"kl_initial": kl}, states[:, -1])

    def equation(self) -> AbstractSDE:
        return self.sde.prepared()

    def from_prior(self, n: int, times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "n bin latent"]:
        return self._solve(self.sde.prepared().from_coordinates(self.prior_start(n)), times)

    def go_on(
        self, end: Float[Tensor, "batch state"], times: Float[Tensor, "#batch point"]
    ) -> Float[Tensor, "batch ahead latent"]:
        return self._solve(end, times)[:, 1:]

    def _solve(self, z0: Float[Tensor, "batch state"], times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "batch bin state"]:
        """The path; every trial may have times of its own."""
        clock = self.clock(times)
        steps, sde = clock.diff(dim=0), self.sde.prepared()

        def rate(bin: Tensor, share: Tensor, z: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
            return sde.drift(clock[bin] + share * steps[bin], z) * steps[bin]

        return solve_over_bins(rate, z0, len(clock), self.method)
