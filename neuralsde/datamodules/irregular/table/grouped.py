"""The rows of a table put together by series, and what is asked of each series."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.irregular.dates import SECONDS, since
from neuralsde.datamodules.irregular.table.cells import UNKNOWN, Times, names_in, number_column, time_column
from neuralsde.datamodules.irregular.table.file import Table
from neuralsde.errors import DataError, warn

LARGEST_RATIO = 500.0
"""A series that is this many times as long as the others, or as the next shorter one, is taken to be in another unit."""
SUSPECT_STEP = 20.0
"""Steps that are so many times as long as the next shorter ones are told of: days among hours are 24 times as long."""
SUSPECT_LEVEL = 100.0
"""The same of the size of values."""
MOST_LOST = 0.05
"""Share of a channel's usual change that rounding may be."""


class Grouped(NamedTuple):
    """Series of a table, in order of their first rows.

    Args:
        names: of the series.
        rows: rows of the table of each series, in the table's order.
        times: of the rows of each series, float64; where they are dates, since the series' first row.
        values: (row, channel) of each series, NaN where unknown.
        origin: date of each series' first row, (series,), datetime64; None where times are numbers.
        zone: as of `Times`.
    """

    names: list[str]
    rows: list[np.ndarray]
    times: list[np.ndarray]
    values: list[np.ndarray]
    origin: np.ndarray | None
    zone: str


def group_series(
    table: Table,
    series_column: str,
    time_name: str,
    channels: Sequence[str],
    unit: str,
    check_spans: bool,
    least_rows: int = 2,
    learn: bool = True,
) -> Grouped:
    """Rows by series.

    Args:
        table: the file's columns.
        series_column: whose cells say to which series a row belongs.
        time_name: column of times.
        channels: columns of values.
        unit: that dates are turned into.
        check_spans: whether series of very different length are refused, and other signs of several units told of.
        least_rows: of each series.
        learn: whether channels are learned from, of which each needs a value.

    Raises:
        DataError: a series has too few rows, times that do not increase, or nothing known; or a channel has nothing known.
    """
    cells = names_in(table.column(series_column, "series_column"))
    refuse_nameless(cells, table, series_column)
    times = time_column(table, time_name)
    values = np.stack([number_column(table, name, "channels") for name in channels], -1)
    if learn:
        refuse_unknown_channels(values, channels, table)
    names, first, index = np.unique(cells, return_index=True, return_inverse=True)
    order = np.argsort(first)
    by_series = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    rows = [by_series[k] for k in order]
    called = [str(names[k]) for k in order]
    refuse_bad_series(called, rows, times, values, table, least_rows)
    own, origin = [times.cells[r] for r in rows], None
    if times.cells.dtype.kind == "M":
        origin = np.array([t[0] for t in own])
        own = [since(t, t[0], unit) for t in own]
    found = Grouped(called, rows, own, [values[r] for r in rows], origin, times.zone)
    tell_of_lost_digits(found, channels, table)
    tell_of_two_stretches(found, table)
    if check_spans:
        refuse_other_units(found, table)
        tell_of_other_units(found, channels, table)
    return found


def refuse_nameless(cells: np.ndarray, table: Table, column: str) -> None:
    """Raises:
    DataError: a row does not say which series it belongs to.
    """
    nameless = np.isin(cells, UNKNOWN)
    if nameless.any():
        row = int(np.argmax(nameless))
        raise DataError(f"{table.path}, {table.place(row)}: column `{column}` is empty; each row belongs to a series.")


def refuse_unknown_channels(values: np.ndarray, channels: Sequence[str], table: Table) -> None:
    """Raises:
    DataError: a channel is empty in the whole table.
    """
    unknown = np.isnan(values).all(0)
    if unknown.any():
        name = channels[int(np.argmax(unknown))]
        raise DataError(f"{table.path}: not one value of column `{name}` is known; leave it out of data.reader.channels.")


def refuse_bad_series(
    names: Sequence[str], rows: Sequence[np.ndarray], times: Times, values: np.ndarray, table: Table, least_rows: int
) -> None:
    """Raises:
    DataError: a series has too few rows, times that do not increase, or nothing known.
    """
    for name, own in zip(names, rows, strict=True):
        if len(own) < least_rows:
            raise DataError(f"{table.path}, {table.place(own[0])}: series `{name}` has one row; at least two are needed.")
        if np.isnan(values[own]).all():
            raise DataError(f"{table.path}: not one value of series `{name}` is known; leave it out.")
        before, after = times.cells[own[:-1]], times.cells[own[1:]]
        if (wrong := after <= before).any():
            k = int(np.argmax(wrong))
            what = "repeats the time before it" if after[k] == before[k] else "is earlier than the row before it"
            apart = own[k + 1] > own[k] + 1
            raise DataError(
                f"{table.path}, {table.place(own[k + 1])}: series `{name}` {what} ({after[k]} after {before[k]}); times that "
                "increase are needed: sort the rows by time, and merge those of one time"
                + (", or, as rows of others lie between them, give two series two names." if apart else ".")
            )


def refuse_other_units(found: Grouped, table: Table) -> None:
    """Raises:
    DataError: a series is much longer or shorter than the others.
    """
    spans = np.array([t[-1] - t[0] for t in found.times])
    if len(spans) < 2 or not spans.all():  # series of one row span nothing
        return
    usual = np.array([np.median(np.delete(spans, k)) for k in range(len(spans))]) if len(spans) < 50 else np.median(spans)
    ratio = np.maximum(spans / usual, usual / spans)
    order = np.argsort(spans, kind="stable")
    leap = spans[order][1:] / spans[order][:-1]  # where half of the series are in another unit, none is far from the middle
    if ratio.max() >= LARGEST_RATIO or leap.max() >= LARGEST_RATIO:
        k = int(np.argmax(ratio)) if ratio.max() >= LARGEST_RATIO else int(order[int(np.argmax(leap)) + 1])
        others = float(np.broadcast_to(usual, spans.shape)[k])
        raise DataError(
            f"{table.path}, {table.place(found.rows[k][0])}: series `{found.names[k]}` spans {spans[k]:g} in time and the "
            f"others {others:g} in the middle; times seem to be in several units: use one, or set "
            "data.reader.check_spans=false."
        )


def tell_of_two_stretches(found: Grouped, table: Table) -> None:
    """Warn of a series that goes on long after its last row, behind rows of others, in a table where most series stand in one
    piece: one name may have been given to two."""
    pieces = [np.flatnonzero(np.diff(rows) > 1) for rows in found.rows]
    broken = [k for k, breaks in enumerate(pieces) if len(breaks)]
    if not broken or 2 * len(broken) > len(pieces):  # rows sorted by time
        return
    usual = float(np.median(np.concatenate([np.diff(times) for times in found.times])))
    for k in broken:
        steps = np.diff(found.times[k])[pieces[k]]
        if (widest := steps.max()) >= SUSPECT_STEP * usual:
            row = int(found.rows[k][pieces[k][int(np.argmax(steps))] + 1])
            warn(
                f"{table.path}, {table.place(row)}: series `{found.names[k]}` goes on behind rows of others, {widest:g} after "
                f"its last row, where rows are usually {usual:g} apart; if these are two series, give them two names."
            )
            return


def tell_of_lost_digits(found: Grouped, channels: Sequence[str], table: Table) -> None:
    """Warn of channels whose changes are lost in single precision, in which models compute."""
    for channel, name in enumerate(channels):
        own = [values[~np.isnan(values[:, channel]), channel] for values in found.values]
        changes = np.concatenate([np.abs(np.diff(values)) for values in own])
        finest = np.spacing(np.float32(max(np.abs(values).max(initial=0.0) for values in own)))
        if (changes > 0).any() and finest > MOST_LOST * (usual := np.median(changes[changes > 0])):
            warn(
                f"{table.path}: column `{name}` changes by about {usual:.3g}, of which single precision tells only steps of "
                f"{finest:.3g}; subtract a constant from it."
            )


def tell_of_other_units(found: Grouped, channels: Sequence[str], table: Table) -> None:
    """Warn of series whose steps, or whose values, are far from those of all others, with nothing in between."""
    steps = [median_or_nan(np.diff(t)) for t in found.times]
    if pair := gap(steps, SUSPECT_STEP):
        short, long = (f"{steps[k]:g} in series `{found.names[k]}`" for k in pair)
        warn(f"{table.path}: rows are {long} and {short} apart; if these are several units of time, use one.")
    for channel, name in enumerate(channels):
        sizes = [median_or_nan(np.abs(values[:, channel])) for values in found.values]
        if pair := gap(sizes, SUSPECT_LEVEL):
            small, large = (f"{sizes[k]:g} in series `{found.names[k]}`" for k in pair)
            warn(f"{table.path}: values of column `{name}` are about {large} and {small}; if these are several units, use one.")


def tell_of_long_steps(found: Grouped, unit: str, table: Table) -> None:
    """Warn where dates are told in seconds and rows are an hour or more apart: nobody has chosen the unit."""
    steps = np.concatenate([np.diff(t) for t in found.times])
    if found.origin is None or unit != "s" or (usual := median_or_nan(steps)) < SECONDS["h"]:
        return
    other = "d" if usual >= SECONDS["d"] else "h"
    warn(
        f"{table.path}: dates are {usual:g} s apart in the middle; data.reader.time_unit={other} tells horizons, steps and "
        f"reports in {'days' if other == 'd' else 'hours'}."
    )


def tell_of_static_channels(found: Grouped, channels: Sequence[str], table: Table) -> None:
    """Warn of channels that differ from series to series and change within none: they are none to predict."""
    for channel, name in enumerate(channels):
        own = [values[~np.isnan(values[:, channel]), channel] for values in found.values]
        several = [values for values in own if len(values) > 1]
        if several and all((v == v[0]).all() for v in several) and len({v[0] for v in several}) > 1:
            warn(
                f"{table.path}: column `{name}` changes in no series; if it belongs to the series as a whole, give "
                f"'data.reader.static=[{name}]', so that it is not predicted."
            )


def median_or_nan(values: np.ndarray) -> float:
    """Median of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def gap(sizes: Sequence[float], ratio: float) -> tuple[int, int] | None:
    """Numbers of two neighbours in size, the smaller first, of which one is at least `ratio` times the other; sizes of 0, or
    that are not known, are left out."""
    usable = [k for k in np.argsort(sizes, kind="stable").tolist() if sizes[k] > 0]
    return next(((a, b) for a, b in pairwise(usable) if sizes[b] >= ratio * sizes[a]), None)


def constant_cells(table: Table, found: Grouped, name: str, setting: str, cells: np.ndarray) -> np.ndarray:
    """The one cell that each series has in a column, (series,).

    Raises:
        DataError: a series has several.
    """
    for series, rows in zip(found.names, found.rows, strict=True):
        own = cells[rows]
        other = own != own[0]
        if own.dtype.kind == "f":
            other &= ~(np.isnan(own) & np.isnan(own[0]))
        if other.any():
            row = rows[int(np.argmax(other))]
            raise DataError(
                f"{table.path}, {table.place(row)}: series `{series}` has `{cells[row]}` in column `{name}` after `{own[0]}`; "
                f"one value for each series is needed (data.reader.{setting})."
            )
    return cells[[rows[0] for rows in found.rows]]
