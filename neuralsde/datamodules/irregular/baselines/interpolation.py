"""Interpolation by each channel's mean, and linearly between what is known."""

from collections.abc import Callable

import numpy as np

from neuralsde.datamodules.irregular.baselines.known import channel_means, interpolated_at
from neuralsde.datamodules.irregular.baselines.result import Baseline, fitted_std, scored
from neuralsde.datamodules.irregular.checks import checked_choice
from neuralsde.datamodules.irregular.series import SeriesData, SeriesSet
from neuralsde.errors import DataError

METRICS = ("heldout", "mtan")


def channel_mean(data: SeriesData, metric: str = "heldout") -> Baseline:
    """Each channel's mean over the training series; `metric` as in `counted`."""
    means = channel_means(data.train)
    return with_gaussian("channel_mean", lambda series: means, data, metric)


def linear_interpolation(data: SeriesData, metric: str = "heldout") -> Baseline:
    """Between what is known of a series, its ends held, and known values copied; a channel's mean where nothing is known."""
    means = channel_means(data.train)
    return with_gaussian("linear_interpolation", lambda s: interpolated_at(s, s.times, means), data, metric)


def counted(series: SeriesSet, metric: str) -> np.ndarray:
    """Targets that a metric counts, (series, row, channel), NaN elsewhere.

    Args:
        series: with targets.
        metric: `heldout` counts what `values` hide, `mtan` all that was measured, also what a model is shown.

    Raises:
        ConfigError: it is neither.
        DataError: the series have no targets.
    """
    checked_choice("metric", metric, METRICS)
    if series.targets is None:
        raise DataError("The series have no targets; interpolation baselines need data whose task is interpolation.")
    shown = ~np.isnan(series.values)
    return np.where(shown, np.nan, series.targets) if metric == "heldout" else series.targets


def with_gaussian(name: str, predict: Callable[[SeriesSet], np.ndarray], data: SeriesData, metric: str) -> Baseline:
    """The result on test series, with a deviation for each channel from validation series.

    Args:
        name: of the baseline.
        predict: mean, of a shape that broadcasts to (series, row, channel).
        data: with targets.
        metric: see `counted`.
    """
    wanted, truth = counted(data.val, metric), counted(data.test, metric)
    val, test = (np.broadcast_to(predict(s), y.shape) for s, y in ((data.val, wanted), (data.test, truth)))
    return scored(name, test, fitted_std(val, wanted, (0, 1)), truth)
