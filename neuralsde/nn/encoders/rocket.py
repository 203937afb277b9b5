"""Shares of time that many fixed dilated kernels are above thresholds: MiniRocket's features, as a path in time."""

import itertools

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.nn.batch_norm import BatchNorm
from neuralsde.nn.dropout import Dropout
from neuralsde.nn.encoders.control_path import ControlPath
from neuralsde.nn.stretches import stretch_bounds, stretch_lengths, stretch_means, stretch_of

TAPS = 9
KERNELS = 84
"""All ways to place three weights of 2 among nine of −1."""
MOST_CHANNELS = 9
GOLDEN = (5**0.5 - 1) / 2


class RocketEncoder(nn.Module):
    r"""What MiniRocket looks for in a series, stretch by stretch of the trial.

    The filled-in observations go through MiniRocket's 84 kernels (weights −1 and 2, sum 0), each at several dilations and over
    channels drawn at random. Their outputs, standardised over the training batches, are compared with thresholds at quantiles
    of a Gaussian (MiniRocket's lie at quantiles of single series, and half of its kernels are unpadded). The shares of each
    stretch's time, and of the whole trial's, that an output is above its threshold, and the stretch's mean of the `ControlPath`
    itself, go through one linear layer, the only part that learns. An equation that adds such a path up over time ends in a
    linear map of shares of the whole time, which is what MiniRocket's classifier reads; those have a weight of their own
    beside the stretches', so that what is told of any time need not be learned in each.

    Args:
        input_size: observed channels.
        duration_s: how long a trial lasts, in the data's unit of time.
        n_bins: bins of a trial, for dilations up to about an eighth of it.
        hidden_size: channels of the context.
        dilations: how many, spread evenly over the powers of 2; at most.
        thresholds: of each kernel at each dilation.
        stretches: parts of a trial, at most.
        dropout: probability of dropping a share, before the linear layer.
        fill: see `ControlPath`.
        seed: of the channels that are drawn.

    Reference: Dempster, Schmidt, Webb, *MiniRocket*, KDD 2021, arXiv:2012.08791.
    """

    reads_mask = True

    def __init__(
        self,
        input_size: int,
        duration_s: float,
        n_bins: int,
        hidden_size: int = 64,
        dilations: int = 5,
        thresholds: int = 4,
        stretches: int = 16,
        dropout: float = 0.5,
        fill: str = "linear",
        seed: int = 0,
    ):
        super().__init__()
        self.path = ControlPath(input_size, duration_s, fill)
        self.input_size, self.stretches = input_size, stretches
        widest = max((n_bins - 1) / (TAPS - 1), 1.0)
        powers = torch.linspace(0, 1, dilations, dtype=torch.float64)
        self.dilations = sorted({round(widest**p) for p in powers.tolist()})
        self.weight: Tensor
        self.register_buffer("weight", drawn_kernels(len(self.dilations), input_size, seed))
        outputs = KERNELS * len(self.dilations)
        self.outputs = BatchNorm(outputs, affine=False)
        spread = (torch.arange(1, outputs * thresholds + 1, dtype=torch.float64) * GOLDEN) % 1
        self.thresholds: Tensor
        self.register_buffer("thresholds", torch.special.ndtri(spread).float().view(outputs, thresholds))
        self.shares = BatchNorm(outputs * thresholds, affine=False)
        self.whole = BatchNorm(outputs * thresholds, affine=False)
        self.levels = BatchNorm(self.path.output_size, affine=False)
        self.dropout = Dropout(dropout)
        self.mix = nn.Linear(outputs * thresholds + self.path.output_size, hidden_size)
        self.mix_whole = nn.Linear(outputs * thresholds, hidden_size, bias=False)
        self.output_size = hidden_size

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        with torch.no_grad():  # nothing of it learns
            path, times = self.path(values, seen, times), times.expand(len(values), -1)
            bounds = stretch_bounds(path.shape[1], self.stretches)
            shares, whole = self.shares_of(path[..., : self.input_size].transpose(1, 2), times, bounds)
            levels = self.levels(stretch_means(path, times, bounds).transpose(1, 2)).transpose(1, 2)
        hidden = self.mix(torch.cat([self.dropout(shares), levels], 2)) + self.mix_whole(self.dropout(whole))[:, None]
        return hidden[:, stretch_of(bounds, path.shape[1])]

    def shares_of(
        self, x: Float[Tensor, "batch channel bin"], times: Float[Tensor, "batch bin"], bounds: Tensor
    ) -> tuple[Float[Tensor, "batch stretch share"], Float[Tensor, "batch share"]]:
        """The shares of the stretches' time and of the whole trial's, each standardised over the training batches."""
        found = [
            nn.functional.conv1d(x, kernels, dilation=d, padding=d * (TAPS // 2))
            for d, kernels in zip(self.dilations, self.weight.to(x.dtype), strict=True)
        ]
        outputs = self.outputs(torch.cat(found, 1)).transpose(1, 2)
        above = torch.cat([stretch_means((outputs > t).to(x.dtype), times, bounds) for t in self.thresholds.t()], 2)
        lasts = stretch_lengths(times, bounds).to(x.dtype)
        whole = (above * lasts[..., None]).sum(1) / lasts.sum(1, keepdim=True)
        return self.shares(above.transpose(1, 2)).transpose(1, 2), self.whole(whole)


def drawn_kernels(dilations: int, channels: int, seed: int) -> Float[Tensor, "dilation kernel channel tap"]:
    """The kernels at each dilation, each over one to nine of the channels."""
    kernels = torch.full((KERNELS, TAPS), -1.0)
    for kernel, places in zip(kernels, itertools.combinations(range(TAPS), 3), strict=True):
        kernel[list(places)] = 2.0
    generator = torch.Generator().manual_seed(seed)
    most = min(channels, MOST_CHANNELS)
    count = (most + 1) ** torch.rand(dilations, KERNELS, generator=generator)  # small numbers are as usual as large ones
    order = torch.rand(dilations, KERNELS, channels, generator=generator).argsort(2).argsort(2)
    chosen = (order < count.long().clamp(1, most)[..., None]).float()
    return kernels[None, :, None] * chosen[..., None]
