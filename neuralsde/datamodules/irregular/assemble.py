"""Series of unequal length as one padded set, and the rows in which something was seen."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neuralsde.datamodules.irregular.series import SeriesSet
from neuralsde.datamodules.memory import machine_bytes, readable
from neuralsde.errors import DataError

COPIES = 6
"""Of the padded arrays, on their way to a batch."""


def padded(times: Sequence[np.ndarray], values: Sequence[np.ndarray], names: Sequence[str], **further) -> SeriesSet:
    """A set of ragged series.

    Args:
        times: of each series, (row,).
        values: of each series, (row, channel).
        names: of each series.
        **further: what else `SeriesSet` holds, already as arrays.

    Raises:
        DataError: padded to the longest, they would not fit into memory.
    """
    refuse_longest(values, names)
    length = np.array([len(t) for t in times], np.int64)
    return SeriesSet(pad_times(times), pad_rows(values), length, np.array(names, dtype=np.str_), **further)


def refuse_longest(values: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """Raises:
    DataError: padded to the longest, the series would not fit into memory.
    """
    longest = max(range(len(values)), key=lambda k: len(values[k]))
    wanted = COPIES * len(values) * len(values[longest]) * (8 + 4 * values[longest].shape[1])
    if wanted > (most := machine_bytes()):
        raise DataError(
            f"Series `{names[longest]}` has {len(values[longest])} rows, and all {len(values)} series as long as it would take "
            f"{readable(wanted)} of {readable(most)} of memory: cut it, or leave it out."
        )


def pad_times(times: Sequence[np.ndarray]) -> np.ndarray:
    """Times (series, row), float64, the last of each series repeated."""
    longest = max(map(len, times))
    return np.stack([np.pad(np.asarray(t, np.float64), (0, longest - len(t)), mode="edge") for t in times])


def pad_rows(values: Sequence[np.ndarray]) -> np.ndarray:
    """Values (series, row, channel), float32, NaN beyond each series' end."""
    longest = max(map(len, values))
    out = np.full((len(values), longest, values[0].shape[1]), np.nan, np.float32)
    for row, series in zip(out, values, strict=True):
        row[: len(series)] = series
    return out


def inside(series: SeriesSet) -> np.ndarray:
    """Rows that belong to their series, (series, row), bool."""
    return np.arange(series.times.shape[1]) < series.length[:, None]


def rows_of(series: SeriesSet, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Times (row,) and values (row, channel) of one series, without the padding."""
    n = int(series.length[index])
    return series.times[index, :n], series.values[index, :n]


def trimmed(series: SeriesSet) -> SeriesSet:
    """The set padded to its own longest series."""
    rows = int(series.length.max())
    targets = None if series.targets is None else series.targets[:, :rows]
    return replace(series, times=series.times[:, :rows], values=series.values[:, :rows], targets=targets)


def last_rows(series: SeriesSet, rows: int) -> SeriesSet:
    """The last `rows` rows of each series, or all where there are fewer."""
    return rows_from(series, np.maximum(series.length - rows, 0))


def last_known_rows(series: SeriesSet, rows: int) -> SeriesSet:
    """The last `rows` rows of each series, and those before them back to the last known value of every channel."""
    known = ~np.isnan(series.values)
    last = np.where(known.any(1), known.shape[1] - 1 - known[:, ::-1].argmax(1), known.shape[1])
    return rows_from(series, np.minimum(np.maximum(series.length - rows, 0), last.min(1)))


def rows_from(series: SeriesSet, first: np.ndarray) -> SeriesSet:
    """The rows of each series from `first`, (series,), on."""
    at = np.minimum(first[:, None] + np.arange((series.length - first).max()), series.length[:, None] - 1)
    cut = replace(
        series,
        times=np.take_along_axis(series.times, at, 1),
        values=np.take_along_axis(series.values, at[..., None], 1),
        length=series.length - first,
        targets=None if series.targets is None else np.take_along_axis(series.targets, at[..., None], 1),
    )
    padding = ~inside(cut)
    for part in (cut.values, cut.targets):
        if part is not None:
            part[padding] = np.nan
    return cut


def without_empty_rows(series: SeriesSet) -> SeriesSet:
    """The set without the rows in which nothing was seen, or, where there are targets, nothing is to be predicted either.

    A series of which nothing at all was seen keeps its first row.
    """
    known = ~np.isnan(series.values).all(-1)
    if series.targets is not None:
        known |= ~np.isnan(series.targets).all(-1)
    known &= inside(series)
    known[:, 0] |= ~known.any(1)
    shorter = padded(
        [t[k] for t, k in zip(series.times, known, strict=True)],
        [v[k] for v, k in zip(series.values, known, strict=True)],
        series.names.tolist(),
    )
    targets = None
    if series.targets is not None:
        targets = pad_rows([v[k] for v, k in zip(series.targets, known, strict=True)])
    return replace(series, times=shorter.times, values=shorter.values, length=shorter.length, targets=targets)
