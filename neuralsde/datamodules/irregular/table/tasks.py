"""What is to be done with a user's series: values to fill in, or the end to forecast."""

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuralsde.datamodules.irregular.ahead import real_rows
from neuralsde.datamodules.irregular.assemble import inside, pad_rows, pad_times, padded
from neuralsde.datamodules.irregular.missing import timepoints_per_record
from neuralsde.datamodules.irregular.series import SeriesSet
from neuralsde.errors import DataError

TRIES = 20
"""Of a random end; where none of them will do, a series ends where it does."""


def with_hidden(series: SeriesSet, share: float, way: str, seed: int, epoch: int | None = None) -> SeriesSet:
    """The set with a share of its values hidden, and all of them as targets.

    Args:
        series: with values, or already with targets.
        share: of the values, or of the time points, that are hidden.
        way: `values` one by one, `points` all channels of a time at once.
        seed: of the draw, which depends on it, on the series' name and on the epoch alone.
        epoch: draws anew for each; None for a draw that is held.
    """
    known = series.values if series.targets is None else series.targets
    if way == "points":
        return replace(series, values=timepoints_per_record(known, series.names, 1 - share, seed, epoch), targets=known)
    values = known.copy()
    for shown, name in zip(values, series.names.tolist(), strict=True):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), *([] if epoch is None else [1, epoch])])
        places = np.flatnonzero(~np.isnan(shown))
        shown.reshape(-1)[rng.permutation(places)[: min(round(len(places) * share), len(places) - 1)]] = np.nan
    return replace(series, values=values, targets=known)


def cut_anew(series: SeriesSet, rows: int | None, horizon: float | None, shortest: int, seed: int, epoch: int) -> SeriesSet:
    """Series that end earlier, each after a random one of its rows, so that its later ones too are forecast from those before:
    a table of few series holds many forecasts.

    Args:
        series: as `with_ahead` gives them; no more rows are forecast than there.
        rows: to forecast; None where `horizon` says it.
        horizon: or all rows within this time of the last one that is forecast.
        shortest: rows that a series keeps at least, where it had so many.
        seed: of the draw, which depends on it, on the series' name and on the epoch alone.
        epoch: draws anew for each.
    """
    assert series.ahead is not None
    assert series.ahead_times is not None
    most, real = series.ahead.shape[1], real_rows(series)
    parts: tuple[list[np.ndarray], ...] = [], [], [], []
    for n, name in enumerate(series.names.tolist()):
        shown = int(series.length[n])
        times = np.concatenate([series.times[n, :shown], series.ahead_times[n, real[n]]])
        values = np.concatenate([series.values[n, :shown], series.ahead[n, real[n]]])
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), 1, epoch])
        known, least = np.any(~np.isnan(values), axis=1), min(shortest, shown)
        for end in (*rng.integers(least + 1, len(times) + 1, TRIES).tolist(), len(times)):
            cut = end - rows if rows is not None else int((times <= times[end - 1] - (horizon or 0.0)).sum())
            if least <= cut < end <= cut + most and known[:cut].any() and known[cut:end].any():
                break
        for part, own in zip(parts, (times[:cut], values[:cut], times[cut:end], values[cut:end]), strict=True):
            part.append(own)
    before = padded(parts[0], parts[1], series.names.tolist())
    ahead_times, ahead = pad_times(parts[2]), pad_rows(parts[3])
    short = most - ahead.shape[1]
    return replace(
        series,
        times=before.times,
        values=before.values,
        length=before.length,
        ahead_times=np.pad(ahead_times, ((0, 0), (0, short)), mode="edge"),
        ahead=np.pad(ahead, ((0, 0), (0, short), (0, 0)), constant_values=np.nan),
    )


def with_ahead(series: SeriesSet, rows: int | None, horizon: float | None, path: Path) -> SeriesSet:
    """The set whose last rows are to be forecast.

    Args:
        series: complete.
        rows: how many; None where `horizon` says it.
        horizon: rows within this time of a series' last one are to be forecast.
        path: of the file, for errors.

    Raises:
        DataError: nothing is left of a series to forecast from, or nothing is known of what is to be forecast.
    """
    last = series.times[:, -1:]
    row = np.arange(series.times.shape[1])
    cut = series.length[:, None] - rows if rows is not None else (series.times <= last - (horizon or 0.0)).sum(1, keepdims=True)
    before, after = row < cut, (row >= cut) & inside(series)
    for name, seen, coming in zip(series.names.tolist(), before, after, strict=True):
        if not seen.any() or not coming.any():
            raise DataError(
                f"{path}: series `{name}` has {int((seen | coming).sum())} rows, of which {int(coming.sum())} are to be "
                "forecast; leave rows to forecast from (data.reader.ahead_rows, data.reader.ahead_time)."
            )
    seen_values = [v[b] for v, b in zip(series.values, before, strict=True)]
    ahead = [v[a] for v, a in zip(series.values, after, strict=True)]
    for what, parts in (("before", seen_values), ("in", ahead)):
        for name, values in zip(series.names.tolist(), parts, strict=True):
            if np.isnan(values).all():
                raise DataError(f"{path}: not one value of series `{name}` is known {what} the time to forecast; leave it out.")
    times = [t[b] for t, b in zip(series.times, before, strict=True)]
    shown = padded(times, seen_values, series.names.tolist())
    return replace(
        series,
        times=shown.times,
        values=shown.values,
        length=shown.length,
        ahead_times=pad_times([t[a] for t, a in zip(series.times, after, strict=True)]),
        ahead=pad_rows(ahead),
    )
