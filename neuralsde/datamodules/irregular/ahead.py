"""Times to forecast that no training series was asked for, told in rows like those that the model has learned."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.irregular.series import SeriesSet


class Rounds(NamedTuple):
    """Series that are asked as often as it takes to ask for all times.

    Args:
        series: each series once or several times, with times ahead.
        asked: which of these times were asked for, (series, ahead), bool; the others are those of training.
    """

    series: SeriesSet
    asked: np.ndarray


def real_rows(series: SeriesSet) -> np.ndarray:
    """Which times ahead are no padding, which repeats the last one, (series, ahead), bool."""
    assert series.ahead_times is not None
    return np.diff(series.ahead_times, axis=1, prepend=-np.inf) > 0


def elapsed_ahead(series: SeriesSet) -> np.ndarray:
    """Time from each series' last row to those ahead, (series, ahead), NaN in the padding."""
    assert series.ahead_times is not None
    return np.where(real_rows(series), series.ahead_times - series.times[:, -1:], np.nan)


def usual_ahead(series: SeriesSet) -> np.ndarray:
    """Median time from the last row to each row ahead, (ahead,), not decreasing; of rows that no series has that of the last
    one that some have."""
    elapsed = elapsed_ahead(series)
    rows = int((~np.isnan(elapsed)).any(0).sum())  # those of the longest
    usual = np.maximum.accumulate(np.nanmedian(elapsed[:, :rows], axis=0))
    return np.pad(usual, (0, elapsed.shape[1] - rows), mode="edge")


def unit_at(elapsed: np.ndarray, usual: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Units of what is predicted at times ahead: between those of the rows whose usual times are before and after, linear in
    their logarithms, and held before the first and after the last, (series, ahead, target), float32.

    Args:
        elapsed: as `elapsed_ahead` gives them; where they are NaN a row's own unit is given.
        usual: as `usual_ahead` gives them, (ahead,).
        unit: of each row ahead, above 0, (ahead, target).
    """
    at = np.where(np.isnan(elapsed), usual, elapsed)
    logs = np.log(unit.astype(np.float64))
    return np.exp(np.stack([np.interp(at, usual, own) for own in logs.T], -1)).astype(np.float32)


def in_rounds(series: SeriesSet, asked: Sequence[np.ndarray], usual: np.ndarray) -> Rounds:
    """Series whose times ahead are those asked for, each in the row that is usually nearest to it; other rows have their usual
    times. Times that are nearest to one row are asked for in different rounds.

    A model learns each row ahead in a unit of its own, and with so many rows after the last one: asked like this it computes
    as it was trained, whatever the times, of series whose own step is the usual one.

    Args:
        series: without anything ahead.
        asked: times of each series, each (time,), increasing and after its last row.
        usual: as `usual_ahead` gives them.
    """
    index, times, chosen = [], [], []
    for number, own in enumerate(asked):
        last = series.times[number, -1]
        row = np.abs((own - last)[:, None] - usual).argmin(1)
        turn = np.arange(len(row)) - np.searchsorted(row, row)  # rows increase with the times
        for k in range(turn.max() + 1):
            index.append(number)
            times.append(last + usual)
            times[-1][row[turn == k]] = own[turn == k]
            chosen.append(np.isin(np.arange(len(usual)), row[turn == k]))
    ahead_times = np.stack(times)
    unknown = np.full((*ahead_times.shape, series.values.shape[2]), np.nan, np.float32)
    return Rounds(replace(series[np.array(index)], ahead_times=ahead_times, ahead=unknown), np.stack(chosen))
