"""Forecasts by the last value, and by linear regression on the last three values or on the whole window."""

from collections.abc import Callable

import numpy as np

from neuralsde.datamodules.irregular.baselines.known import channel_means, interpolated_at, last_known
from neuralsde.datamodules.irregular.baselines.result import Baseline, fitted_std, scored
from neuralsde.datamodules.irregular.series import SeriesData, SeriesSet
from neuralsde.errors import DataError

PENALTIES = np.logspace(-4, 4, 9)
"""Ridge penalties to choose from, on validation series."""


def persistence(data: SeriesData) -> Baseline:
    """Each channel stays at its last known value (at its training mean, where a series knows none)."""
    means = channel_means(data.train)
    return with_gaussian("persistence", lambda series: last_values(series, means)[:, None], data)


def last3_ridge(data: SeriesData) -> Baseline:
    """Ridge regression, for each step ahead, on the last three values of each channel and the time since them."""
    means, scale = channel_means(data.train), shortest_reach(data.train)
    steps = range(ahead_of(data.train).shape[1])
    return fitted("last3_ridge", lambda s: np.stack([last3_features(s, step, means, scale) for step in steps]), data)


def window_ridge(data: SeriesData, points: int = 50) -> Baseline:
    """Ridge regression, for each step ahead, on the window at `points` equally spaced times, linearly interpolated."""
    means, offsets = channel_means(data.train), window_offsets(data.train, points)
    return fitted("window_ridge", lambda series: window_features(series, offsets, means)[None], data)


def last_values(series: SeriesSet, fallback: np.ndarray) -> np.ndarray:
    """Last known value of each channel, (series, channel); `fallback` (channel,) where there is none."""
    values = last_known(series, 1)[0][0]
    return np.where(np.isnan(values), fallback, values)


def fitted(name: str, features: Callable[[SeriesSet], np.ndarray], data: SeriesData) -> Baseline:
    """A ridge regression for each step ahead, all with the penalty that is best on validation series.

    Args:
        name: of the baseline.
        features: of each series, (group, series, feature): the steps ahead are as many groups of equal size.
        data: with values ahead.
    """
    train, val = features(data.train), features(data.val)
    targets, wanted = grouped(ahead_of(data.train), len(train)), grouped(ahead_of(data.val), len(train))

    candidates = ridge(train, targets, PENALTIES)
    weights = candidates[np.argmin([np.nanmean((val @ w - wanted) ** 2) for w in candidates])]

    def predict(series: SeriesSet) -> np.ndarray:
        return (features(series) @ weights).transpose(1, 0, 2).reshape(ahead_of(series).shape)

    return with_gaussian(name, predict, data)


def grouped(ahead: np.ndarray, groups: int) -> np.ndarray:
    """Values ahead (series, ahead, channel) as (group, series, entry)."""
    return ahead.reshape(len(ahead), groups, -1).transpose(1, 0, 2)


def with_gaussian(name: str, predict: Callable[[SeriesSet], np.ndarray], data: SeriesData) -> Baseline:
    """The result on test series, with deviations for each step and channel from validation series.

    Args:
        name: of the baseline.
        predict: mean, of a shape that broadcasts to (series, ahead, channel).
        data: with values ahead.
    """
    wanted, truth = ahead_of(data.val), ahead_of(data.test)
    val, test = (np.broadcast_to(predict(s), y.shape) for s, y in ((data.val, wanted), (data.test, truth)))
    return scored(name, test, fitted_std(val, wanted, (0,)), truth)


def ahead_of(series: SeriesSet) -> np.ndarray:
    """Values ahead, (series, ahead, channel), float64.

    Raises:
        DataError: the series have none.
    """
    if series.ahead is None:
        raise DataError("The series have no values ahead; forecast baselines need data whose task is a forecast.")
    return series.ahead.astype(np.float64)


def ahead_times_of(series: SeriesSet) -> np.ndarray:
    """Times ahead, (series, ahead)."""
    assert series.ahead_times is not None
    return series.ahead_times


def shortest_reach(series: SeriesSet) -> float:
    """Least time from a series' last row to the last one ahead: the scale of time in the features."""
    return float((ahead_times_of(series)[:, -1] - series.times[:, -1]).min())


def last3_features(series: SeriesSet, step: int, means: np.ndarray, scale: float) -> np.ndarray:
    """[s1, s1 d1/T, slope12 d1, slope13 d1, s1 (d1/T)², 1, d/T] of each series.

    s1 is the last value of a channel and d1 the time from it to the step ahead; slopes are those from the second and third
    last value, 0 where there is none; d is the time since the last row of all; T is `scale`.
    """
    (s1, s2, s3), (t1, t2, t3) = last_known(series, 3)
    ahead = ahead_times_of(series)[:, step, None]
    nothing = np.isnan(s1)
    s1, d1 = np.where(nothing, means, s1), np.where(nothing, 0.0, ahead - t1)
    slopes = [np.where(np.isnan(s), 0.0, (s1 - s) / (t1 - t)) * d1 for s, t in ((s2, t2), (s3, t3))]
    d = ahead - series.times[:, -1:]
    return np.concatenate([s1, s1 * d1 / scale, *slopes, s1 * (d1 / scale) ** 2, np.ones_like(d), d / scale], 1)


def window_offsets(series: SeriesSet, points: int) -> np.ndarray:
    """Times before the first one ahead, (point,): from the start of the longest window to the latest last row."""
    before = ahead_times_of(series)[:, :1] - series.times
    return np.linspace(before[:, 0].max(), before[:, -1].min(), points)


def window_features(series: SeriesSet, offsets: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The window of each series at `offsets` before its first time ahead, and a one: (series, point · channel + 1)."""
    values = interpolated_at(series, ahead_times_of(series)[:, :1] - offsets, means)
    return np.concatenate([values.reshape(len(series), -1), np.ones((len(series), 1))], 1)


def ridge(features: np.ndarray, targets: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Weights (penalty, group, feature, entry) that minimise the squared error plus a penalty times their square.

    Args:
        features: (group, series, feature).
        targets: (group, series, entry); NaN marks entries that are left out.
        penalties: of every weight, that of the constant included.
    """
    if not np.isnan(targets).any():
        return solve(features, targets, penalties)
    out = np.empty((len(penalties), len(features), features.shape[2], targets.shape[2]))
    for group, (x, y) in enumerate(zip(features, targets, strict=True)):
        for entry, column in enumerate(y.T):
            known = ~np.isnan(column)
            out[:, group, :, entry] = solve(x[known], column[known][:, None], penalties)[..., 0]
    return out


def solve(features: np.ndarray, targets: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Ridge weights of complete targets, (penalty, …, feature, entry)."""
    turned = np.swapaxes(features, -1, -2)
    products, right, one = turned @ features, turned @ targets, np.eye(features.shape[-1])
    return np.stack([np.linalg.solve(products + penalty * one, right) for penalty in penalties])
