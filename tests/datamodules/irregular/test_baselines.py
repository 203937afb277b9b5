import numpy as np
import pytest
from sklearn.linear_model import Ridge

from neuralsde.datamodules.irregular.assemble import padded, without_empty_rows
from neuralsde.datamodules.irregular.baselines import (
    channel_mean,
    last3_ridge,
    linear_interpolation,
    majority,
    minirocket_ridge,
    persistence,
    window_ridge,
)
from neuralsde.datamodules.irregular.baselines.forecast import last_values, ridge
from neuralsde.datamodules.irregular.baselines.interpolation import counted
from neuralsde.datamodules.irregular.baselines.known import interpolated_at, last_known
from neuralsde.datamodules.irregular.baselines.result import fitted_std
from neuralsde.datamodules.irregular.mujoco import MujocoForecast
from neuralsde.datamodules.irregular.series import SeriesData, SeriesSet
from neuralsde.datamodules.irregular.table.tasks import with_hidden
from neuralsde.datamodules.irregular.ucr import UCRArchive
from neuralsde.errors import ConfigError, DataError
from tests.helpers.shared import shared_path

NAN = np.nan


def small_set():
    values = [np.array([[1.0, NAN], [2, 5], [4, NAN]]), np.array([[NAN, NAN], [7, NAN]])]
    return padded([np.array([0.0, 1, 3]), np.array([2.0, 2.5])], values, ["a", "b"])


def noisy_lines(n, seed, gaps=0.3):
    """Straight lines with a little noise, seen at random times and forecast at two more."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 5, (n, 12)), axis=1)
    level, slope = rng.normal(size=(2, n, 1, 2))
    ahead_times = np.tile([5.5, 6.0], (n, 1))
    values, ahead = (level + slope * t[..., None] + 0.01 * rng.normal(size=(*t.shape, 2)) for t in (times, ahead_times))
    values[rng.random(values.shape) < gaps] = NAN
    values[:, :3] = np.where(np.isnan(values[:, :3]), 0.0, values[:, :3])  # each knows something
    length = np.full(n, 12, np.int64)
    names = np.array([f"s{k}" for k in range(n)])
    single = np.float32
    return SeriesSet(times, values.astype(single), length, names, ahead_times=ahead_times, ahead=ahead.astype(single))


@pytest.fixture(scope="module")
def lines():
    return SeriesData("lines", *(noisy_lines(n, seed) for n, seed in ((300, 0), (80, 1), (80, 2))), ("x", "y"))


def test_last_known_values_are_those_of_each_channel():
    values, times = last_known(small_set(), 2)
    np.testing.assert_array_equal(values, [[[4, 5], [7, NAN]], [[2, NAN], [NAN, NAN]]])
    np.testing.assert_array_equal(times, [[[3, 1], [2.5, NAN]], [[1, NAN], [NAN, NAN]]])
    np.testing.assert_array_equal(last_values(small_set(), np.array([-1.0, -2])), [[4, 5], [7, -2]])


def test_interpolation_is_that_of_numpy_with_a_fallback():
    found = interpolated_at(small_set(), np.array([[0.0, 2, 9], [0, 2.2, 3]]), np.array([-1.0, -2]))
    np.testing.assert_allclose(found[0], [[1, 5], [3, 5], [4, 5]])
    np.testing.assert_allclose(found[1], [[7, -2]] * 3)


def test_rows_in_which_nothing_was_seen_can_go():
    series = padded([np.arange(4.0), np.arange(2.0)], [np.array([[NAN], [1], [NAN], [2]]), np.full((2, 1), NAN)], ["a", "b"])
    short = without_empty_rows(series)
    assert short.length.tolist() == [2, 1]
    np.testing.assert_array_equal(short.times, [[1, 3], [0, 0]])
    np.testing.assert_array_equal(short.values[..., 0], [[1, 2], [NAN, NAN]])


def test_ridge_equals_scikit_learn_also_with_unknown_targets():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40, 5)), rng.normal(size=(2, 40, 3))
    y[1, ::3, 2] = NAN
    found = ridge(x, y, np.array([0.7, 5.0]))[0]
    for group, entry in ((0, 1), (1, 2)):
        known = ~np.isnan(y[group, :, entry])
        peer = Ridge(0.7, fit_intercept=False).fit(x[group, known], y[group, known, entry])
        np.testing.assert_allclose(found[group, :, entry], peer.coef_, rtol=1e-9)


def test_regressions_know_a_straight_line_and_persistence_does_not(lines):
    stays, last3, window = persistence(lines), last3_ridge(lines), window_ridge(lines, points=12)
    expected = np.mean((last_values(lines.test, np.zeros(2))[:, None] - lines.test.ahead) ** 2)
    assert np.isclose(stays.scores["mse"], expected)
    assert last3.scores["mse"] < 0.5 * stays.scores["mse"]
    assert window.scores["mse"] < stays.scores["mse"]
    assert last3.scores["crps"] < stays.scores["crps"]
    assert last3.mean.shape == last3.std.shape == lines.test.ahead.shape


def test_deviations_are_those_of_validation_series(lines):
    found = persistence(lines)
    error = last_values(lines.val, np.zeros(2))[:, None] - lines.val.ahead
    np.testing.assert_allclose(found.std[0], np.sqrt((error.astype(float) ** 2).mean(0)), rtol=1e-6)
    gap = np.array([[[1.0, NAN]], [[3.0, NAN]]])
    np.testing.assert_allclose(fitted_std(np.zeros_like(gap), gap, (0, 1)).ravel(), np.sqrt([5, 5]))


@pytest.fixture(scope="module")
def hidden(lines):
    parts = (with_hidden(s, 0.4, "values", 0) for s in (lines.train, lines.val, lines.test))
    return SeriesData("hidden", *parts, ("x", "y"))


def test_metrics_of_interpolation_count_what_they_say(hidden):
    test = hidden.test
    known, seen = ~np.isnan(test.targets), ~np.isnan(test.values)
    np.testing.assert_array_equal(~np.isnan(counted(test, "heldout")), known & ~seen)
    np.testing.assert_array_equal(~np.isnan(counted(test, "mtan")), known)
    both, held = (linear_interpolation(hidden, m).scores["mse"] for m in ("mtan", "heldout"))
    assert np.isclose(both, held * (known & ~seen).sum() / known.sum())  # what was seen is copied
    assert held < channel_mean(hidden).scores["mse"]
    with pytest.raises(ConfigError, match=r"data.reader.metric is all"):
        linear_interpolation(hidden, "all")


def test_means_are_of_training_series(hidden):
    found = channel_mean(hidden, "mtan")
    np.testing.assert_allclose(found.mean[0, 0], np.nanmean(hidden.train.targets.astype(float), (0, 1)), rtol=1e-6)


def test_data_of_another_task_are_refused(lines, hidden):
    for baseline, sentence in ((channel_mean, "no targets"), (majority, "no classes")):
        with pytest.raises(DataError, match=sentence):
            baseline(lines)
    with pytest.raises(DataError, match="no values ahead"):
        persistence(UCRArchive("BasicMotions").read())


def test_the_usual_class_is_that_of_training_series():
    data = UCRArchive("JapaneseVowels").read()
    usual = np.bincount(data.train.labels).argmax()
    assert majority(data).scores["accuracy"] == np.mean(data.test.labels == usual)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        pytest.param(0.0, (0.00158, 0.00104, 0.00117), marks=pytest.mark.slow),
        pytest.param(0.3, (0.00184, 0.00123, 0.00145), marks=pytest.mark.slow),
        pytest.param(0.5, (0.00203, 0.00139, 0.00159), marks=pytest.mark.slow),
        pytest.param(0.7, (0.00259, 0.00176, 0.00197), marks=pytest.mark.slow),
    ],
)
def test_the_table_of_mujoco(rate, expected):
    data = MujocoForecast(shared_path("data/mujoco/mujoco.npy"), rate).read()
    for baseline, mse in zip((persistence, last3_ridge, window_ridge), expected, strict=True):
        assert round(baseline(data).scores["mse"], 5) == mse, baseline.__name__


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GunPoint", "BasicMotions"])
def test_minirocket_knows_every_series_of_the_bundled_sets(name):
    for rate in (0.0, 0.5):
        assert minirocket_ridge(UCRArchive(name, missing_rate=rate).read()).scores["accuracy"] == 1.0
