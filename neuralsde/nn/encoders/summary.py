"""Each channel of a trial in a few numbers: level, spread, trend, roughness, lopsidedness and periodogram."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.batch_norm import BatchNorm
from neuralsde.nn.control_path import at_rows, last_known_row
from neuralsde.nn.dropout import Dropout

STATISTICS = 10
SHORTEST_PERIOD = 3.0
"""In usual steps."""
PENALTY = 0.3
"""Of squared amplitudes, in observations: a wave through few values explains less than all of them."""
FARTHEST = 4.0
"""Standardised numbers are cut off at so many deviations."""
TINY = 1e-6
"""Deviations below this share of a mean are rounding; squares of times, in trials, add up to this at least."""


class SummaryEncoder(nn.Module):
    r"""For classes of few series at times of their own: what can be said of a whole series without learning how.

    Of what is known of each channel, $x_1 \dots x_n$ at $t_1 < \dots < t_n$, it reads the mean, the deviation, the slope of the
    line of least squares and the deviation from it, the root mean square of the steps $d_i = x_i - x_{i-1}$, the
    autocorrelation from one value to the next, the skewnesses of values and of steps (rises that are steeper than falls), and
    the highest and the lowest value in deviations from the mean; and the share of the variance that a wave

    $$a \cos \omega t + b \sin \omega t + c$$

    explains (a periodogram of least squares, which takes any times), at `periods` frequencies, evenly spread in their
    logarithms from one wave in the whole trial to one in three usual steps. A channel without two values that differ gives
    zeros but for its mean. All are standardised over the training batches; one linear layer, the only part that learns, makes
    the context of them, which is the same in all bins.

    Args:
        input_size: observed channels.
        duration_s: how long a trial lasts, in the data's unit of time.
        step_s: usual time between bins, likewise.
        hidden_size: channels of the context.
        periods: of the waves.
        dropout: probability of dropping a number, before the linear layer.

    Raises:
        ConfigError: `hidden_size` or `periods` is no whole number of at least 1.

    Source: Lomb, "Least-squares frequency analysis of unequally spaced data", 1976.
    """

    reads_mask = True

    def __init__(
        self,
        input_size: int,
        duration_s: float,
        step_s: float,
        hidden_size: int = 32,
        periods: int = 12,
        dropout: float = 0.0,
    ):
        super().__init__()
        for name, count in (("hidden_size", hidden_size), ("periods", periods)):
            if type(count) is not int or count < 1:
                raise ConfigError(f"model.encoder.{name} is {count}; give a whole number of at least 1.")
        self.duration_s = duration_s
        shortest = min(SHORTEST_PERIOD * step_s, duration_s)
        period = torch.logspace(math.log10(shortest), math.log10(duration_s), periods, dtype=torch.float64)
        self.frequency: Tensor
        self.register_buffer("frequency", (2 * math.pi / period).float())
        read = input_size * (STATISTICS + periods)
        self.standard, self.dropout, self.mix = BatchNorm(read, affine=False), Dropout(dropout), nn.Linear(read, hidden_size)
        self.output_size = hidden_size

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        with torch.no_grad(), torch.autocast(values.device.type, enabled=False):  # nothing of it learns, and sums are exact
            clock = (times - times[:, :1])[:, : values.shape[1]].expand(len(values), -1)
            read = torch.cat([statistics(values, seen, clock / self.duration_s), self.powers(values, seen, clock)], 2)
            read = self.standard(read.flatten(1)).clamp(-FARTHEST, FARTHEST)
        return self.mix(self.dropout(read))[:, None].expand(-1, times.shape[1], -1)

    def powers(
        self,
        values: Float[Tensor, "batch bin channel"],
        seen: Bool[Tensor, "batch bin channel"],
        clock: Float[Tensor, "batch bin"],
    ) -> Float[Tensor, "batch channel period"]:
        """Shares of the variance that waves explain; `clock` is in the data's unit of time."""
        known = seen.to(values.dtype)
        mean = mean_of(values, known)
        centred = (values - mean[:, None]) * known
        angle = clock[..., None] * self.frequency
        wave = torch.stack([torch.ones_like(angle), angle.cos(), angle.sin()], -1).to(values.dtype)  # (batch, bin, period, 3)
        gram = torch.einsum("bnc,bnpi,bnpj->bcpij", known, wave, wave)
        gram = gram + PENALTY * torch.eye(3, dtype=values.dtype, device=values.device)
        moment = torch.einsum("bnc,bnpi->bcpi", centred, wave)
        fit = torch.linalg.solve(gram, moment[..., None])[..., 0]
        explained = (fit * moment).sum(-1) + PENALTY * fit.square().sum(-1)  # of all squares, as gram @ fit = moment
        squares = centred.square()
        moves = varies(mean, mean_of(squares, known).sqrt())
        return torch.where(moves[..., None], explained / squares.sum(1)[..., None], 0.0)


def statistics(
    values: Float[Tensor, "batch bin channel"], seen: Bool[Tensor, "batch bin channel"], clock: Float[Tensor, "batch bin"]
) -> Float[Tensor, "batch channel statistic"]:
    """See `SummaryEncoder`; zeros but for the mean of what has one value alone. `clock` is in durations of a trial."""
    known = seen.to(values.dtype)
    mean = mean_of(values, known)
    centred = (values - mean[:, None]) * known
    time = clock.to(values.dtype)[..., None].expand_as(values)
    time = (time - mean_of(time, known)[:, None]) * known
    slope = (time * centred).sum(1) / time.square().sum(1).clamp(min=TINY)
    rest = centred - slope[:, None] * time
    deviation = mean_of(centred.square(), known).sqrt()
    before = nn.functional.pad(last_known_row(values.masked_fill(~seen, torch.nan)), (0, 0, 1, 0), value=-1)[:, :-1]
    pair = known * (before >= 0)
    step, earlier = (values - at_rows(values, before)) * pair, at_rows(centred, before) * pair
    rough = mean_of(step.square(), pair).sqrt()
    moves = varies(mean, deviation)
    unit, rough_unit = torch.where(moves, deviation, 1.0), torch.where(rough > 0, rough, 1.0)
    found = [
        mean,
        deviation,
        slope,
        mean_of(rest.square(), known).sqrt(),
        rough,
        mean_of(centred * earlier, pair) / unit**2,
        mean_of(centred**3, known) / unit**3,
        mean_of(step**3, pair) / rough_unit**3,
        centred.amax(1) / unit,
        centred.amin(1) / unit,
    ]
    return torch.where(moves[..., None], torch.stack(found, -1), mean[..., None] * torch.eye(STATISTICS).to(values)[0])


def varies(mean: Float[Tensor, "batch channel"], deviation: Float[Tensor, "batch channel"]) -> Bool[Tensor, "batch channel"]:
    """Whether values differ by more than rounding does in single precision."""
    return deviation > TINY * mean.abs()


def mean_of(values: Float[Tensor, "batch bin channel"], known: Tensor) -> Float[Tensor, "batch channel"]:
    """Mean over the bins that are known (weight 1, others 0); 0 of none."""
    return (values * known).sum(1) / known.sum(1).clamp(min=1)
