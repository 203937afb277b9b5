"""Observations on a grid of equal times: against loops over rows, ours and the published one with its zeros."""

import numpy as np
import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders import ControlPath, PathGrid

POINTS, T = 16, 48.0


def series(batch=6, rows=30, channels=3):
    """Rows at random times from 0 on, some hidden, padded to a common length."""
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, T, (batch, rows)), 1)
    times[:, 0] = 0.0
    seen = rng.random((batch, rows, channels)) < 0.5
    seen[rng.random((batch, rows)) < 0.4] = False
    for k, n in enumerate(rng.integers(rows // 2, rows, batch)):  # the rows from n on pad
        times[k, n:], seen[k, n:] = times[k, n - 1] + 1e-4 * np.arange(1, rows - n + 1), False
    values = rng.normal(size=(batch, rows, channels)) * seen
    return values.astype(np.float32), seen, times.astype(np.float32)


def encoded(encoder, values, seen, times):
    return encoder(torch.tensor(values), torch.tensor(seen), torch.tensor(times)).numpy()


def test_published_points_hold_what_a_loop_over_rows_writes():
    """As the code has it, with its padding: rows written in turn, zeros of hidden rows too; padding to the last point."""
    values, seen, times = series()
    expected = np.zeros((len(values), POINTS, 3), np.float32)
    for out, x, s, t in zip(expected, values, seen, times, strict=True):
        last = np.flatnonzero(s.any(1))[-1]
        for k in range(last + 1):
            out[int(np.float32(t[k] / T) * POINTS - 1)] = x[k]  # int cuts off; −1 is the last point
        out[-1] = 0.0
    encoder = PathGrid(3, T, POINTS, "zero", read_mask=False, read_time=False, published=True)
    found = encoded(encoder, values, seen, times)
    np.testing.assert_array_equal(found, expected)
    assert (found[:, :-1] != 0).any((1, 2)).all()
    # The control: where nothing empties a point more is there.
    ours = encoded(PathGrid(3, T, POINTS, "zero", read_mask=False, read_time=False), values, seen, times)
    assert (ours != 0).sum() > (found != 0).sum()


def test_each_channel_s_last_value_is_on_the_nearest_point():
    values, seen, times = series()
    expected = np.full((len(values), POINTS, 3), np.nan)
    for out, x, s, t in zip(expected, values, seen, times, strict=True):
        for k, channel in np.argwhere(s):
            out[int(np.rint(t[k] / T * (POINTS - 1))), channel] = x[k, channel]
    there = ~np.isnan(expected)
    found = encoded(PathGrid(3, T, POINTS, "zero"), values, seen, times)
    np.testing.assert_array_equal(found[..., :3], np.where(there, expected, 0).astype(np.float32))
    np.testing.assert_array_equal(found[..., 3:6], there)
    np.testing.assert_allclose(found[..., 6], np.broadcast_to(np.linspace(0, 1, POINTS), found.shape[:2]), rtol=1e-6)
    # Filled in as any path is.
    grid = torch.linspace(0, T, POINTS)[None].expand(len(values), -1)
    path = ControlPath(3, T, "linear", read_elapsed=False)
    filled = path(torch.tensor(np.where(there, expected, 0)).float(), torch.tensor(there), grid)
    torch.testing.assert_close(torch.tensor(encoded(PathGrid(3, T, POINTS), values, seen, times)), filled)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"fill": "cubic"}, "choose one of zero, forward"),
        ({"points": 1}, "at least 2"),
    ],
)
def test_impossible_settings_are_refused(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        PathGrid(3, T, **settings)
