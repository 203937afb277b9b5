"""The rules of time, one by one."""

import numpy as np
import pytest

from neuralsde.datamodules.nwb.binning import to_ms
from neuralsde.datamodules.nwb.windows import MISSING, NS_PER_MS, bounds, cut, draw_jitter, to_ns


def ms(*values):
    return np.array(values, dtype=np.int64) * NS_PER_MS


def test_seconds_become_the_nanoseconds_of_pandas():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    seconds = np.concatenate([rng.uniform(0, 9000, 100_000), np.round(rng.uniform(0, 9000, 100_000), 4), [0.0, np.nan]])
    theirs = pandas.to_timedelta(pandas.Series(seconds), unit="s").to_numpy().astype("timedelta64[ns]").astype(np.int64)
    np.testing.assert_array_equal(to_ns(seconds), theirs)
    assert to_ns(np.array([np.nan]))[0] == MISSING


@pytest.mark.parametrize(
    ("seconds", "bin_ms"),
    [
        (0.0, 0),
        (0.0009999, 0),
        (0.001, 1),
        (0.29, 290),  # 0.29 * 1000 is 289.99999999999994
        (4.35, 4350),
        (1.0009999999, 1001),  # six decimals of a millisecond
    ],
)
def test_milliseconds_are_rounded_before_they_are_cut(seconds, bin_ms):
    assert to_ms(np.array([seconds]))[0] == bin_ms


def test_a_window_starts_with_the_first_whole_bin():
    window = cut(ms(100, 101), ms(120, 121), 5)
    np.testing.assert_array_equal(window.first, [20, 21])
    np.testing.assert_array_equal(window.count, [4, 4])


def test_a_window_may_begin_before_the_recording():
    window = cut(ms(-7), ms(13), 5)
    np.testing.assert_array_equal(window.bins(), [[-1, 0, 1, 2]])


def test_a_window_is_cut_at_its_bound():
    window = cut(ms(0, 50), ms(100, 150), 10, 10, np.array([50 * NS_PER_MS, MISSING]))
    np.testing.assert_array_equal(window.count, [5, 10])
    assert window.taken().sum() == 15


def test_bounds_are_the_benchmarks():
    """The next window's start, or the start of the trial after the next one, whichever is earlier."""
    start, following = ms(0, 100, 300), np.append(ms(90, 250), MISSING)
    np.testing.assert_array_equal(bounds(start, following), [100 * NS_PER_MS, 300 * NS_PER_MS, MISSING])
    early = np.append(ms(90, 80), MISSING)
    np.testing.assert_array_equal(bounds(start, early)[0], 80 * NS_PER_MS)


def test_jitter_takes_one_draw_per_trial():
    room = np.array([300.0, 0.0, 299.0, np.nan, 124.0])
    jitter = draw_jitter(room, 5)
    draws = np.random.RandomState(0).random_sample(5)
    np.testing.assert_array_equal(jitter, np.round(draws * [60, 0, 59, 0, 24]))
    assert jitter.dtype == np.int64
