"""Observations as a control path: what the published stable neural SDEs read, and what other encoders can begin with."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.control_path import (
    carried_forward,
    hermite_path,
    last_known_row,
    linear_path,
    natural_cubic_path,
    next_known_row,
)
from neuralsde.shares import averaged

FILLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "forward": lambda times, values: carried_forward(times, values).value,
    "linear": linear_path,
    "hermite": hermite_path,
    "natural": natural_cubic_path,
}
FARTHEST = 10.0
"""Slopes are cut off at so many times what is usual."""


class ControlPath(nn.Module):
    """The observed values between and beyond their times, with how they were observed; nothing is learned.

    Channels per bin: each value filled in; whether it was observed (`read_mask`); the time since its channel was last
    observed, as a share of the trial (`read_elapsed`); the bin's own time, as a share of the trial (`read_time`).

    Args:
        input_size: observed channels.
        duration_s: how long a trial lasts, in the data's unit of time.
        fill: `forward`, the last observed value, which is causal; or what looks ahead: `linear` between neighbours, `hermite`
            or `natural` cubic splines (see `neuralsde.nn.control_path`). All keep the last value beyond the observations, and
            are 0 where a channel is never observed.
        read_mask: see above.
        read_elapsed: see above.
        read_time: see above.
        read_remaining: see above; it looks ahead.
        slopes: read the slopes between so many last pairs of neighbouring observations, in multiples of what is usual (a
            running mean over training batches of their squares, channel by channel), which tell how fast a value moves.

    Raises:
        ConfigError: there is no such filling, or `slopes` is no whole number.
    """

    reads_mask = True

    def __init__(
        self,
        input_size: int,
        duration_s: float,
        fill: str = "linear",
        read_mask: bool = True,
        read_elapsed: bool = True,
        read_time: bool = True,
        slopes: int = 0,
        read_remaining: bool = False,
    ):
        super().__init__()
        if fill not in FILLINGS:
            raise ConfigError(f"model.encoder.fill is {fill!r}; choose one of {', '.join(FILLINGS)}.")
        if type(slopes) is not int or slopes < 0:
            raise ConfigError(f"model.encoder.slopes is {slopes}; give a whole number of at least 0.")
        self.fill, self.duration_s, self.slopes = fill, duration_s, slopes
        self.usual: Tensor
        self.register_buffer("usual", torch.zeros(input_size))
        self.read_mask, self.read_elapsed, self.read_time, self.read_remaining = (
            read_mask,
            read_elapsed,
            read_time,
            read_remaining,
        )
        self.output_size = input_size * (1 + read_mask + read_elapsed + read_remaining + slopes) + read_time

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        ahead = times.shape[1] - values.shape[1]
        values, seen = nn.functional.pad(values, (0, 0, 0, ahead)), nn.functional.pad(seen, (0, 0, 0, ahead))
        times, complete = times.expand(len(values), -1), bool(seen.all())
        known = values if complete else values.masked_fill(~seen, torch.nan)
        parts = [values if complete else FILLINGS[self.fill](times, known)]  # all of them go through what is known
        before = last_known_row(known) if self.read_elapsed or self.slopes else torch.empty(0)
        if self.read_mask:
            parts.append(seen.to(values.dtype))
        if self.read_elapsed:
            since = times[..., None] - times[..., None].expand_as(values).take_along_dim(before.clamp(min=0), 1)
            parts.append(torch.where(before >= 0, since, times[..., None] - times[:, :1, None]) / self.duration_s)
        if self.read_remaining:
            after, last = next_known_row(known), times.shape[1] - 1
            until = times[..., None].expand_as(values).take_along_dim(after.clamp(max=last), 1) - times[..., None]
            parts.append(torch.where(after <= last, until, times[:, -1:, None] - times[..., None]) / self.duration_s)
        if self.read_time:
            parts.append((times[..., None] - times[:, :1, None]) / self.duration_s)
        return torch.cat(parts + self.last_slopes(values, times, before), -1)

    def last_slopes(
        self, values: Float[Tensor, "batch bin channel"], times: Float[Tensor, "batch bin"], before: Tensor
    ) -> list[Float[Tensor, "batch bin channel"]]:
        """Slopes between the last observations, the latest first; 0 where there are not so many."""
        clock, found, last = times[..., None].expand_as(values) / self.duration_s, [], before
        for _ in range(self.slopes):
            at = before.clamp(min=0)
            earlier = torch.where(before > 0, last.take_along_dim((at - 1).clamp(min=0), 1), -1)
            rise = values.take_along_dim(at, 1) - values.take_along_dim(earlier.clamp(min=0), 1)
            run = clock.take_along_dim(at, 1) - clock.take_along_dim(earlier.clamp(min=0), 1)
            known = (before >= 0) & (earlier >= 0)
            found.append(torch.where(known, rise / torch.where(known, run, 1.0), 0.0))
            before = earlier
        if self.slopes and self.training:
            with torch.no_grad():
                square = averaged(found[0].square().mean((0, 1)))
                self.usual.copy_(torch.where(self.usual > 0, torch.lerp(self.usual, square, 0.05), square))
        unit = self.usual.clamp(min=torch.finfo(values.dtype).tiny).sqrt()
        return [(slope / unit).clamp(-FARTHEST, FARTHEST) for slope in found]
