import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders.control_path import FILLINGS


class PathGrid(nn.Module):
    """The observations at as many equally spaced times for every trial: a trial of any times becomes one of the same short
    grid, on which any dynamics run. Nothing is learned.

    Channels per point: each value; whether one fell on the point (`read_mask`); the point's time as a share of the trial
    (`read_time`). The context is at `context_times`, not at the bins, so that the decoder has to read times
    (`model/decoder=mtan`).

    Args:
        input_size: observed channels.
        duration_s: $T$, how long the longest trial lasts, in the data's unit of time; the grid is on $[0, T]$.
        points: $n$ of the grid.
        fill: of points that nothing fell on: `zero`, or as `ControlPath`'s.
        read_mask: see above.
        read_time: see above.
        published: put rows on points as the published stable neural SDEs' code does. A row at share $s$ of the duration falls
            on point number $n s - 1$, cut off to a whole number, instead of the nearest one, and replaces all channels of the
            rows before it there, instead of those that it holds: a hidden row empties its point. The last point, on which
            rows at $s = 0$ fall, stays empty, since the rows that pad a series fall there too: what is known of the first
            row alone is never seen.

    Raises:
        ConfigError: there is no such filling, or no two points.

    Reference: Oh, Lim, Kim, "Stable neural SDEs in analyzing irregular time series data", 2024, arXiv 2402.14989; its code.
    """

    reads_mask = True

    def __init__(
        self,
        input_size: int,
        duration_s: float,
        points: int = 64,
        fill: str = "linear",
        read_mask: bool = True,
        read_time: bool = True,
        published: bool = False,
    ):
        super().__init__()
        if fill not in (known := ("zero", *FILLINGS)):
            raise ConfigError(f"model.encoder.fill is {fill!r}; choose one of {', '.join(known)}.")
        if type(duration_s) not in (int, float) or not 0 < duration_s < math.inf:
            raise ConfigError(f"model.encoder.duration_s is {duration_s}; give a positive number.")
        if type(points) is not int or points < 2:
            raise ConfigError(f"model.encoder.points is {points}; give a whole number of at least 2.")
        for name, value in (("read_mask", read_mask), ("read_time", read_time), ("published", published)):
            if type(value) is not bool:
                raise ConfigError(f"model.encoder.{name} is {value}; give true or false.")
        self.duration_s, self.points, self.fill, self.published = duration_s, points, fill, published
        self.read_mask, self.read_time = read_mask, read_time
        self.output_size = input_size * (1 + read_mask) + read_time

    def context_times(self, times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "1 point"]:
        """When the context is of, in the data's unit, from the trials' first bin on."""
        return torch.linspace(0, self.duration_s, self.points, dtype=times.dtype, device=times.device)[None]

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch point context"]:
        grid = self.context_times(times).expand(len(values), -1)
        times = (times - times[:, :1])[:, : values.shape[1]].expand(len(values), -1)
        last = latest(self.point_of(times, seen.any(2)), seen, self.points, whole_rows=self.published)
        there = last >= 0
        found = values.take_along_dim(last.clamp(min=0), 1)
        there = there & seen.take_along_dim(last.clamp(min=0), 1)
        if self.fill == "zero":
            found = found.masked_fill(~there, 0.0)
        else:
            found = FILLINGS[self.fill](grid, found.masked_fill(~there, torch.nan))
        parts = [found]
        if self.read_mask:
            parts.append(there.to(values.dtype))
        if self.read_time:
            parts.append((grid / self.duration_s)[..., None].to(values.dtype))
        return torch.cat(parts, 2)

    def point_of(self, times: Float[Tensor, "batch row"], known: Bool[Tensor, "batch row"]) -> Int[Tensor, "batch row"]:
        """The point that each row falls on; −1 for none."""
        share, last = times / self.duration_s, self.points - 1
        if not self.published:
            return torch.where(known, (share * last).round().long().clamp(0, last), -1)
        number = (share * self.points - 1).long()  # cut off towards 0
        within = known.flip(1).cummax(1).values.flip(1)  # behind them are rows that pad, or that empty empty points
        return torch.where(within & (share > 0) & (number < last), number, -1)


def latest(
    point: Int[Tensor, "batch row"], seen: Bool[Tensor, "batch row channel"], points: int, whole_rows: bool
) -> Int[Tensor, "batch {points} channel"]:
    """The last row that falls on each point: of those that hold the channel, or of all (`whole_rows`); −1 where none does."""
    row = torch.arange(point.shape[1], device=point.device)[:, None].expand(seen.shape)
    counts = (point >= 0)[..., None] & (seen | whole_rows)
    where = point.clamp(min=0)[..., None].expand(seen.shape)
    empty = torch.full((len(point), points, seen.shape[2]), -1, device=point.device)
    return empty.scatter_reduce(1, where, torch.where(counts, row, -1), "amax")
