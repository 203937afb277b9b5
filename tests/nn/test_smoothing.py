"""Local means and the encoder that reads them, held against numpy one series, channel and row at a time."""

import math

import numpy as np
import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders import SmoothingEncoder
from neuralsde.nn.smoothing import smoothed

SERIES, ROWS, CHANNELS = 3, 8, 4
WIDTHS = (0.7, math.inf)


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    seen = rng.random((SERIES, ROWS, CHANNELS)) < 0.5
    seen[0, :, 1] = False  # a channel that is never observed
    times = rng.uniform(0.1, 1.0, (SERIES, ROWS)).cumsum(1)
    return torch.tensor(np.where(seen, rng.normal(size=seen.shape), 0.0)), torch.tensor(seen), torch.tensor(times)


def test_local_moments_are_those_of_numpy(batch):
    found = smoothed(*batch, WIDTHS)
    values, seen, times = (part.numpy() for part in batch)
    for n, row, c, w in np.ndindex(SERIES, ROWS, CHANNELS, len(WIDTHS)):
        at = seen[n, :, c]
        weight = np.exp(-np.abs(times[n, at] - times[n, row]) / WIDTHS[w])
        mean = np.average(values[n, at, c], weights=weight) if at.any() else 0.0
        std = np.average((values[n, at, c] - mean) ** 2, weights=weight) ** 0.5 if at.any() else 0.0
        told = [float(part[n, row, c, w]) for part in found]
        np.testing.assert_allclose(told, [mean, std, weight.sum()], atol=1e-7)


def test_what_is_read_of_a_channel_are_its_neighbours_and_means(batch):
    values, seen, times = (part.numpy() for part in batch)
    read = SmoothingEncoder(CHANNELS, 5.0, 0.5).neighbourhood(*batch).numpy()
    for n, row, c in np.ndindex(SERIES, ROWS, CHANNELS):
        at = np.flatnonzero(seen[n, :, c])
        line = np.interp(times[n, row], times[n, at], values[n, at, c]) if len(at) else 0.0
        before, after = at[at <= row][-1:], at[at >= row][:1]
        since = times[n, row] - times[n, before[0] if len(before) else 0]
        until = times[n, after[0] if len(after) else -1] - times[n, row]
        steps = [float(values[n, k[0], c] - line) if len(k) else 0.0 for k in (before, after)]
        wanted = [line, seen[n, row, c], np.log1p(since / 0.5), np.log1p(until / 0.5), *steps]
        np.testing.assert_allclose(read[n, row, c, :6], wanted, atol=1e-9)
        assert read[n, row, c, 8] == pytest.approx(values[n, at, c].mean() - line if len(at) else 0.0)


def test_a_channels_features_are_its_own(batch):
    values, seen, times = batch
    encoder = SmoothingEncoder(CHANNELS, 5.0, 0.5, channel_size=3).double()
    ahead = torch.cat([times, times[:, -1:] + 1.0], 1)
    assert encoder(values, seen, ahead).shape == (SERIES, ROWS + 1, encoder.output_size)
    moved = (encoder(values + seen * torch.eye(CHANNELS)[2], seen, times) - encoder(values, seen, times)).abs().amax((0, 1))
    moved = moved[: 3 * CHANNELS].view(CHANNELS, 3).amax(1) > 0
    assert moved.tolist() == [False, False, True, False]


def test_a_unit_of_time_changes_nothing_where_widths_are_in_steps(batch):
    def encoded(per_unit: float, **settings) -> torch.Tensor:
        torch.manual_seed(0)
        encoder = SmoothingEncoder(CHANNELS, 5.0 * per_unit, 0.5 * per_unit, **settings).double()
        return encoder(*batch[:2], batch[2] * per_unit)

    days = encoded(1.0, width_unit=0.5)
    torch.testing.assert_close(encoded(1440.0, width_unit=720.0), days)
    assert (encoded(1440.0, width_unit=0.5) - days).abs().max() > 0.01


def test_widths_are_positive():
    with pytest.raises(ConfigError, match=r"model\.encoder\.widths"):
        SmoothingEncoder(CHANNELS, 5.0, 0.5, widths=[0.0])
