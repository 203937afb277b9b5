import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.curves.base import AbstractCurves, Curve, zero_rows
from neuralsde.nn.local_context import Context

MOST_BINS = 1000  # of a trial: the kernel's matrix is factorised, at a cost that grows with their cube


class KernelCurves(AbstractCurves):
    r"""Kernel regression through what a linear map takes from each bin's context $c_k$,

    $$k(t, \tau) (K + \nu^2 I)^{-1} W c, \qquad k(t, \tau_k) = \exp\Bigl(-\frac{(t - \tau_k)^2}{2 \ell^2}\Bigr),$$

    with length $\ell$ and noise $\nu$ learned, per channel. Smooth, without kinks; every bin matters to every point.

    Args:
        context_size: channels of the context.
        channels: curves.
        bends: see `AbstractCurves`.
        length: $\ell$ at the start, in units of the trial's mean step.
        noise: $\nu$ at the start.

    Raises:
        ConfigError: length or noise is not positive; on evaluation, a trial has more than 1000 bins.

    Reference: Course & Nair, *Amortized reparametrization*, 2023, arXiv:2312.10550, whose nodes are those of a batch.
    """

    reach = None

    def __init__(self, context_size: int, channels: int, bends: bool = False, length: float = 2.0, noise: float = 0.3):
        super().__init__(context_size, channels, bends)
        if not (length > 0 and noise > 0):
            raise ConfigError(f"model.dynamics.curves got length={length} and noise={noise}; give positive numbers.")
        self.value = nn.Linear(context_size, channels)
        self.log_length = nn.Parameter(torch.full((channels,), math.log(length)))
        self.log_noise = nn.Parameter(torch.full((channels,), math.log(noise)))

    def start_at_zero(self, first: int) -> None:
        zero_rows(self.value, first)

    def forward(
        self,
        context: Context,
        clock: Float[Tensor, "#batch bin"],
        t: Float[Tensor, "#batch point"],
    ) -> Curve:
        assert isinstance(context, Tensor)
        if clock.shape[1] > MOST_BINS:
            raise ConfigError(
                f"model.dynamics.curves KernelCurves factorises a matrix of all {clock.shape[1]} bins of a trial, and takes at "
                f"most {MOST_BINS}: use neuralsde.nn.curves.SplineCurves."
            )
        step = (clock[:, -1:] - clock[:, :1]) / (clock.shape[1] - 1)
        precision = torch.exp(-2 * self.log_length)[:, None, None] / step[:, None, None] ** 2  # (#batch, channel, 1, 1)
        away = (clock[:, :, None] - clock[:, None])[:, None]
        noise = torch.exp(2 * self.log_noise)[:, None, None] * torch.eye(clock.shape[1], dtype=clock.dtype, device=clock.device)
        root = torch.linalg.cholesky(torch.exp(-precision * away**2 / 2) + noise)
        weights = torch.cholesky_solve(self.value(context).mT[..., None], root)[..., 0]  # (batch, channel, bin)
        away = (t[:, :, None] - clock[:, None])[:, None]
        kernel = torch.exp(-precision * away**2 / 2)
        kernels = kernel, -precision * away * kernel, ((precision * away) ** 2 - precision) * kernel
        return Curve(*(torch.einsum("bcpk,bck->bpc", k.expand(len(weights), -1, -1, -1), weights) for k in kernels))
