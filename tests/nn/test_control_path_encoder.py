"""Observations as a control path, held against numpy series by series."""

import numpy as np
import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders import ControlPath, ConvolutionEncoder

SERIES, BINS, CHANNELS, AHEAD = 4, 9, 3, 2


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    seen = rng.random((SERIES, BINS, CHANNELS)) < 0.6
    seen[0, :, 1] = False  # a channel that is never observed
    times = rng.uniform(0.1, 1.0, (SERIES, BINS + AHEAD)).cumsum(1)
    values = np.where(seen, rng.normal(size=seen.shape), 0.0)
    return torch.tensor(values), torch.tensor(seen), torch.tensor(times)


def alone(batch, fill: str):
    """The filled-in channels by numpy, one series and channel at a time."""
    values, seen, times = (part.numpy() for part in batch)
    out = np.zeros((SERIES, BINS + AHEAD, CHANNELS))
    for n, c in np.ndindex(SERIES, CHANNELS):
        at = np.flatnonzero(seen[n, :, c])
        if len(at) and fill == "linear":
            out[n, :, c] = np.interp(times[n], times[n, at], values[n, at, c])
        elif len(at):
            last = np.searchsorted(at, np.arange(BINS + AHEAD), side="right") - 1
            out[n, :, c] = np.where(last >= 0, values[n, at[last.clip(0)], c], 0.0)
    return out


@pytest.mark.parametrize("fill", ["linear", "forward"])
def test_values_are_filled_in_as_numpy_does(batch, fill):
    path = ControlPath(CHANNELS, 5.0, fill, read_mask=False, read_elapsed=False, read_time=False)
    np.testing.assert_allclose(path(*batch).numpy(), alone(batch, fill), atol=1e-12)


@pytest.mark.parametrize(("fill", "looks_ahead"), [("forward", False), ("linear", True)])
def test_only_linear_filling_looks_ahead(batch, fill, looks_ahead):
    values, seen, times = batch
    other, path = values.clone(), ControlPath(CHANNELS, 5.0, fill, slopes=2).double().eval()
    for n in range(SERIES):
        last = int(seen[n, :, 0].nonzero()[-1])
        other[n, last:, 0] += 1.0
    before = torch.stack([torch.arange(BINS + AHEAD) < int(seen[n, :, 0].nonzero()[-1]) for n in range(SERIES)])
    changed = (path(values, seen, times) != path(other, seen, times)).any(-1)[before].any()
    assert bool(changed) == looks_ahead


def test_mask_elapsed_time_and_time(batch):
    values, seen, times = batch
    out = ControlPath(CHANNELS, 5.0, read_mask=True, read_elapsed=True, read_time=True)(values, seen, times)
    _, mask, elapsed, time = out.split([CHANNELS, CHANNELS, CHANNELS, 1], -1)
    assert torch.equal(mask[:, :BINS].bool(), seen)
    assert not mask[:, BINS:].any()
    torch.testing.assert_close(time[..., 0] * 5, times - times[:, :1])
    for n, b, c in np.ndindex(SERIES, BINS + AHEAD, CHANNELS):
        at = [k for k in range(min(b + 1, BINS)) if seen[n, k, c]]
        since = times[n, b] - times[n, at[-1] if at else 0]
        assert float(elapsed[n, b, c]) * 5 == pytest.approx(float(since), abs=1e-12)


def test_slopes_are_those_between_the_last_observations(batch):
    values, seen, times = batch
    path = ControlPath(CHANNELS, 1.0, "forward", False, False, False, slopes=2).double()
    for unit in path.units:
        unit.square.fill_(4.0)
    slopes = path.eval()(values, seen, times)[..., CHANNELS:].unflatten(-1, (2, CHANNELS))
    for n, b, c in np.ndindex(SERIES, BINS + AHEAD, CHANNELS):
        at = [k for k in range(min(b + 1, BINS)) if seen[n, k, c]][::-1]
        for k in range(2):
            there = len(at) > k + 1
            ends = [at[k], at[k + 1]] if there else [0, 0]
            (late, early), (stop, start) = values[n, ends, c].tolist(), times[n, ends].tolist()
            slope = (late - early) / (stop - start) if there else 0.0
            assert float(slopes[n, b, k, c]) == pytest.approx(np.clip(slope / 2, -10, 10), abs=1e-9)


def test_changes_of_slope_and_rises_are_made_of_the_slopes_and_the_time_since_an_observation(batch):
    values, seen, times = batch
    plain, path = (
        ControlPath(CHANNELS, 2.0, "forward", False, True, False, slopes=2, time_unit=0.5, **more).double().eval()
        for more in ({}, {"slope_changes": True, "rises": True})
    )
    for k, unit in enumerate([*plain.units, *path.units]):
        unit.square.fill_(1e4 * (k + 1) ** 2)  # nothing is cut off
    without, found = plain(values, seen, times), path(values, seen, times)
    _, elapsed, first, second = without.split(CHANNELS, -1)
    _, _, slope, change, rise, rise_of_change = found.split(CHANNELS, -1)
    torch.testing.assert_close(3 * slope, first)
    torch.testing.assert_close(4 * change, first - 2 * second)
    known = without[..., :CHANNELS] != 0
    for moved, by, units in ((rise, first, 5), (rise_of_change, first - 2 * second, 6)):
        torch.testing.assert_close(units * moved[known], (by * elapsed * 0.5 / 2.0)[known])
    path.train()(values, seen, times)
    assert all((unit.square != 1e4 * (k + 3) ** 2).any() for k, unit in enumerate(path.units))


def test_convolutions_look_both_ways_and_have_a_context_per_bin(batch):
    values, seen, times = batch
    encoder = ConvolutionEncoder(CHANNELS, 5.0, hidden_size=8, widths=[3, 5], blocks=2).double().eval()
    context = encoder(values, seen, times)
    assert context.shape == (SERIES, BINS + AHEAD, encoder.output_size)
    later = values.clone()
    later[:, 5] += seen[:, 5]
    assert not torch.equal(encoder(later, seen, times)[:, 4], context[:, 4])


def test_refusals():
    with pytest.raises(ConfigError, match=r"model\.encoder.fill is 'up'"):
        ControlPath(2, 1.0, "up")
    with pytest.raises(ConfigError, match=r"model\.encoder.slopes is -1"):
        ControlPath(2, 1.0, slopes=-1)
    with pytest.raises(ConfigError, match="no slopes to rise along"):
        ControlPath(2, 1.0, rises=True)
    with pytest.raises(ConfigError, match=r"time_unit is 0\.0; give a positive number"):
        ControlPath(2, 1.0, time_unit=0.0)
