"""Each channel's neighbourhood in time through a small net of its own."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.control_path import at_rows, last_known_row, next_known_row
from neuralsde.nn.dropout import Dropout
from neuralsde.nn.smoothing import smoothed

SMALLEST_WEIGHT = 1e-3
"""Sums of kernel weights below this count as nothing observed."""


class SmoothingEncoder(nn.Module):
    r"""For values that are noisy beside what happens between them: where the best guess at a time is neither of the two nearest
    values, nor the line between them, but a mean of many.

    Of each channel $c$ in each bin the encoder reads the line $\ell$ between its neighbours, whether it was observed, the logs
    of the times since and until the neighbours, the neighbours and the local means of each of the `widths` as differences
    from $\ell$, their spreads, and the logs of how much was observed. A gated net of the channel's own makes `channel_size`
    features of these, $h_c = A_c x_c \odot \mathrm{sigmoid}(B_c x_c)$, so that a difference can count for more the longer ago
    its neighbour is. The context is the features of all channels and the bin's time; there is no recurrence here, that is left
    to the dynamics.

    Args:
        input_size: observed channels.
        duration_s: how long a trial lasts, in the data's unit of time.
        step_s: usual time between bins, likewise.
        channel_size: features per channel.
        widths: of the local means, in `width_unit`; the mean over the whole trial is read beside them.
        width_unit: in the data's unit of time.
        dropout: probability of dropping an entry of the context.

    Raises:
        ConfigError: a width is not positive.
    """

    reads_mask = True

    def __init__(
        self,
        input_size: int,
        duration_s: float,
        step_s: float,
        channel_size: int = 8,
        widths: Sequence[float] = (2.0, 8.0),
        dropout: float = 0.0,
        width_unit: float = 1.0,
    ):
        super().__init__()
        if not all(isinstance(width, int | float) and width > 0 for width in widths):
            raise ConfigError(f"model.encoder.widths is {list(widths)}; give positive times.")
        self.duration_s, self.step_s = duration_s, step_s
        self.widths = (*(width * width_unit for width in widths), math.inf)
        read = 6 + 3 * len(self.widths)
        self.weight = nn.Parameter(torch.randn(input_size, read, 2 * channel_size) / math.sqrt(read))
        self.bias = nn.Parameter(torch.zeros(input_size, 1, 2 * channel_size))
        self.dropout = Dropout(dropout)
        self.output_size = input_size * channel_size + 3

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        ahead = times.shape[1] - values.shape[1]
        values, seen = nn.functional.pad(values, (0, 0, 0, ahead)), nn.functional.pad(seen, (0, 0, 0, ahead))
        times = times.expand(len(values), -1)
        channels = self.channels(self.neighbourhood(values, seen, times))
        return self.dropout(torch.cat([channels, self.clock(times).to(channels.dtype)], -1))

    def neighbourhood(
        self,
        values: Float[Tensor, "batch bin channel"],
        seen: Bool[Tensor, "batch bin channel"],
        times: Float[Tensor, "batch bin"],
    ) -> Float[Tensor, "batch bin channel read"]:
        """What is read of each channel in each bin."""
        last = values.shape[1] - 1
        known, clock = values.masked_fill(~seen, torch.nan), times[..., None].expand_as(values)
        before, after = last_known_row(known), next_known_row(known)
        was, will = before >= 0, after <= last
        x0, x1 = at_rows(values, before), at_rows(values, after)
        since = clock - torch.where(was, at_rows(clock, before), times[:, :1, None])
        until = torch.where(will, at_rows(clock, after), times[:, -1:, None]) - clock
        share = (since / (since + until).clamp(min=torch.finfo(times.dtype).tiny)).to(values.dtype)
        line = torch.where(was, torch.where(will, torch.lerp(x0, x1, share), x0), torch.where(will, x1, 0.0))
        parts = [line, seen.to(values.dtype), self.log_time(since).to(values.dtype), self.log_time(until).to(values.dtype)]
        parts += [torch.where(was, x0 - line, 0.0), torch.where(will, x1 - line, 0.0)]
        mean, std, weight = smoothed(values, seen, times, self.widths)
        near = weight > SMALLEST_WEIGHT
        parts = [part[..., None] for part in parts]
        parts += [torch.where(near, mean - line[..., None], 0.0), torch.where(near, std, 0.0), weight.log1p()]
        return torch.cat(parts, -1)

    def channels(self, read: Float[Tensor, "batch bin channel read"]) -> Float[Tensor, "batch bin channel_feature"]:
        """The features of all channels, each from what is read of it."""
        made = torch.baddbmm(self.bias, read.flatten(0, 1).transpose(0, 1), self.weight)
        linear, gate = made.transpose(0, 1).unflatten(0, read.shape[:2]).chunk(2, -1)
        return (linear * torch.sigmoid(gate)).flatten(2)

    def clock(self, times: Float[Tensor, "batch bin"]) -> Float[Tensor, "batch bin 3"]:
        """The bin's own time, as a share of the trial, and the logs of the times since the bin before and until the next."""
        gaps = self.log_time(times.diff(dim=1))
        edge = gaps.new_zeros(len(gaps), 1)
        share = (times - times[:, :1]) / self.duration_s
        return torch.stack([share, torch.cat([edge, gaps], 1), torch.cat([gaps, edge], 1)], -1)

    def log_time(self, elapsed: Tensor) -> Tensor:
        """Log of one and a time, in usual steps."""
        return torch.log1p(elapsed / self.step_s)
