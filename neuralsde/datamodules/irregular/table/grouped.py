"""The rows of a table put together by series, and what is asked of each series."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.irregular.table.cells import UNKNOWN, number_column, time_column
from neuralsde.datamodules.irregular.table.file import Table
from neuralsde.errors import DataError

LARGEST_RATIO = 500.0
"""A series that is this many times as long as the others, or as the next shorter one, is taken to be in another unit."""


class Grouped(NamedTuple):
    """Series of a table, in order of their first rows.

    Args:
        names: of the series.
        rows: rows of the table of each series, in the table's order.
        times: of the rows of each series.
        values: (row, channel) of each series, NaN where unknown.
    """

    names: list[str]
    rows: list[np.ndarray]
    times: list[np.ndarray]
    values: list[np.ndarray]


def group_series(
    table: Table, series_column: str, time_name: str, channels: Sequence[str], unit: str, check_spans: bool
) -> Grouped:
    """Rows by series.

    Args:
        table: the file's columns.
        series_column: whose cells say to which series a row belongs.
        time_name: column of times.
        channels: columns of values.
        unit: that dates are turned into.
        check_spans: whether series of very different length are refused.

    Raises:
        DataError: a series has one row, times that do not increase, or nothing known; or a channel has nothing known.
    """
    cells = table.column(series_column, "series_column").astype(np.str_)
    refuse_nameless(cells, table, series_column)
    times, are_dates = time_column(table, time_name, unit)
    values = np.stack([number_column(table, name, "channels") for name in channels], -1)
    refuse_unknown_channels(values, channels, table)
    names, first, index = np.unique(cells, return_index=True, return_inverse=True)
    order = np.argsort(first)
    by_series = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    rows = [by_series[k] for k in order]
    found = Grouped([str(names[k]) for k in order], rows, [times[r] for r in rows], [values[r] for r in rows])
    refuse_bad_series(found, table)
    if check_spans:
        refuse_other_units(found, table)
    return found._replace(times=[t - t[0] for t in found.times]) if are_dates else found


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


def refuse_bad_series(found: Grouped, table: Table) -> None:
    """Raises:
    DataError: a series has one row, times that do not increase, or nothing known.
    """
    for name, rows, times, values in zip(*found, strict=True):
        if len(rows) < 2:
            raise DataError(f"{table.path}, {table.place(rows[0])}: series `{name}` has one row; at least two are needed.")
        if np.isnan(values).all():
            raise DataError(f"{table.path}: not one value of series `{name}` is known; leave it out.")
        step = np.diff(times)
        if (step <= 0).any():
            k = int(np.argmax(step <= 0))
            what = "repeats the time before it" if step[k] == 0 else "is earlier than the row before it"
            raise DataError(
                f"{table.path}, {table.place(rows[k + 1])}: series `{name}` {what} ({times[k + 1]:g} after {times[k]:g}); "
                "times that increase are needed: sort the rows by time, and merge those of one time."
            )


def refuse_other_units(found: Grouped, table: Table) -> None:
    """Raises:
    DataError: a series is much longer or shorter than the others.
    """
    spans = np.array([t[-1] - t[0] for t in found.times])
    if len(spans) < 2:
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
