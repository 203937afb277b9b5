import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline, CubicSpline

from neuralsde.nn.control_path import (
    carried_forward,
    hermite_path,
    linear_path,
    natural_cubic_path,
)

NAN = float("nan")


@pytest.fixture
def gappy():
    """Series of 9, 5 and 1 rows with gaps, padded; the last channel of the first is known nowhere."""
    rng = np.random.default_rng(0)
    length, values = [9, 5, 1], rng.normal(size=(3, 9, 3))
    times = np.sort(rng.uniform(0, 10, (3, 9)), axis=1)
    values[rng.random(values.shape) < 0.35] = NAN
    values[0, :, 2] = NAN
    values[1, 0], values[1, 4, 0], values[2, 0, 1] = [NAN, 1.0, 2.0], NAN, 0.5
    for k, n in enumerate(length):
        times[k, n:] = times[k, n - 1]
        values[k, n:] = NAN
    query = np.sort(rng.uniform(-1, 11, (3, 20)), axis=1)
    return times, values, length, query


def channels(gappy):
    """Known times and values of each channel, with its place."""
    times, values, length, _ = gappy
    for b, n in enumerate(length):
        for c in range(values.shape[2]):
            known = ~np.isnan(values[b, :n, c])
            yield b, c, times[b, :n], times[b, :n][known], values[b, :n, c][known]


def tensors(*arrays):
    return tuple(torch.as_tensor(a) for a in arrays)


def test_linear_paths_are_numpys(gappy):
    times, values, _, query = gappy
    found = linear_path(*tensors(times, values, query)).numpy()
    at_rows = linear_path(*tensors(times, values)).numpy()
    for b, c, rows, t, x in channels(gappy):
        expected = np.interp(query[b], t, x) if len(t) else np.zeros(20)
        np.testing.assert_allclose(found[b, :, c], expected, atol=1e-12)
        np.testing.assert_allclose(at_rows[b, : len(rows), c], np.interp(rows, t, x) if len(t) else 0, atol=1e-12)


def test_natural_cubic_paths_are_scipys(gappy):
    times, values, _, _ = gappy
    found = natural_cubic_path(*tensors(times, values)).numpy()
    for b, c, rows, t, x in channels(gappy):
        if not len(t):
            assert (found[b, :, c] == 0).all()
            continue
        knots, heights = [rows[0], *t[(t > rows[0]) & (t < rows[-1])], rows[-1]], None
        heights = np.interp(knots, t, x)  # the ends that are not known take the nearest known value
        expected = CubicSpline(knots, heights, bc_type="natural")(times[b]) if len(rows) > 1 else np.full(9, x[0])
        np.testing.assert_allclose(found[b, :, c], expected, atol=1e-9)


def test_hermite_paths_are_scipys(gappy):
    times, values, _, query = gappy
    found = hermite_path(*tensors(times, values, query)).numpy()
    for b, c, rows, t, x in channels(gappy):
        if not len(t) or len(rows) == 1:
            np.testing.assert_allclose(found[b, :, c], x[0] if len(t) else 0.0)
            continue
        heights = np.interp(rows, t, x)
        chords = np.diff(heights) / np.diff(rows)
        spline = CubicHermiteSpline(rows, heights, np.concatenate([chords[:1], chords]))
        np.testing.assert_allclose(found[b, :, c], spline(np.clip(query[b], rows[0], rows[-1])), atol=1e-9)


@pytest.mark.parametrize("path", [linear_path, hermite_path, natural_cubic_path])
def test_paths_pass_through_what_is_known(gappy, path):
    times, values, length, _ = gappy
    found = path(*tensors(times, values)).numpy()
    for b, n in enumerate(length):
        known = ~np.isnan(values[b, :n])
        np.testing.assert_allclose(found[b, :n][known], values[b, :n][known], atol=1e-9)


def test_carried_values_are_the_last_known_ones(gappy):
    times, values, _, query = gappy
    found = carried_forward(*tensors(times, values, query))
    for b, c, rows, t, x in channels(gappy):
        for k, q in enumerate(query[b]):
            before = np.flatnonzero(t <= q)
            assert bool(found.known[b, k, c]) == bool(len(before))
            assert found.value[b, k, c] == (x[before[-1]] if len(before) else 0.0)
            assert np.isclose(found.elapsed[b, k, c], q - (t[before[-1]] if len(before) else rows[0]))


def test_causal_paths_do_not_know_what_comes(gappy):
    times, values, _, _ = gappy
    later = values.copy()
    later[:, 4:] = 99.0
    ours, theirs = (carried_forward(*tensors(times, v)).value[:, :4] for v in (values, later))
    torch.testing.assert_close(ours, theirs)
    assert not torch.equal(linear_path(*tensors(times, values))[:, :4], linear_path(*tensors(times, later))[:, :4])


def test_paths_take_single_precision_values_at_double_precision_times(gappy):
    times, values, _, query = gappy
    for path, asked in ((linear_path, [query]), (hermite_path, [query]), (natural_cubic_path, [])):
        found = path(torch.as_tensor(times), torch.as_tensor(values, dtype=torch.float32), *tensors(*asked))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), path(*tensors(times, values, *asked)), atol=1e-4, rtol=1e-4)
