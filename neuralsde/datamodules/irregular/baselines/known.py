"""The latest known values of each channel, and linear interpolation between known values."""

import numpy as np

from neuralsde.datamodules.irregular.series import SeriesSet


def last_known(series: SeriesSet, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The last `count` known values of each channel and their times, latest first.

    Returns:
        values and times, (count, series, channel), float64; NaN where there are fewer.
    """
    known = ~np.isnan(series.values)
    rank = np.cumsum(known[:, ::-1], axis=1)[:, ::-1]  # 1 at the last known row, 2 at the one before
    values = np.full((count, len(series), series.values.shape[2]), np.nan)
    times = np.full_like(values, np.nan)
    for k in range(count):
        at = known & (rank == k + 1)
        found, row = at.any(1), at.argmax(1)
        here = np.take_along_axis(series.values, row[:, None], 1)[:, 0]
        when = np.take_along_axis(series.times, row, 1)
        values[k], times[k] = np.where(found, here, np.nan), np.where(found, when, np.nan)
    return values, times


def channel_means(series: SeriesSet) -> np.ndarray:
    """Mean of all that is known of each channel, (channel,), float64: targets where there are any, else values."""
    within = series.values if series.targets is None else series.targets
    known = ~np.isnan(within)
    return np.where(known, within, 0).sum((0, 1), dtype=np.float64) / np.maximum(known.sum((0, 1)), 1)


def interpolated_at(series: SeriesSet, query: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """Values at other times, linearly between known ones, the first and last held beyond them.

    Args:
        series: whose values are known here and there.
        query: times, (series, query).
        fallback: value of a channel of which a series knows nothing, (channel,).

    Returns:
        (series, query, channel), float64.
    """
    out = np.tile(fallback, (*query.shape, 1)).astype(np.float64)
    for own, values, times, wanted in zip(out, series.values, series.times, query, strict=True):
        known = ~np.isnan(values)
        for channel in np.flatnonzero(known.any(0)):
            k = known[:, channel]
            own[:, channel] = np.interp(wanted, times[k], values[k, channel])
    return out
