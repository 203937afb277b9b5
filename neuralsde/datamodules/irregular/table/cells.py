"""Numbers and times from the cells of a column."""

from datetime import datetime

import numpy as np

from neuralsde.datamodules.irregular.table.file import Table
from neuralsde.errors import DataError

UNKNOWN = ("", "NA", "N/A", "NaN", "nan", "null", "None", "?")
LARGEST = float(np.finfo(np.float32).max)
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Units that dates can be turned into."""


def number_column(table: Table, name: str, setting: str) -> np.ndarray:
    """Numbers of a column, (row,), float64, NaN for cells that are empty or say so.

    Raises:
        DataError: a cell is no number, or infinite.
    """
    cells = table.column(name, setting)
    if cells.dtype.kind == "M":
        raise DataError(f"{table.path}: column `{name}` holds dates; numbers are needed (data.reader.{setting}).")
    numbers = cells if cells.dtype.kind == "f" else numbers_of(cells)
    bad = np.isnan(numbers) & ~unknown_cells(cells)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{table.path}, {table.place(row)}: column `{name}` holds `{str(cells[row])[:40]}`, which is no number; leave "
            f"unknown cells empty, and other columns out of data.reader.{setting}."
        )
    large = np.abs(numbers) > LARGEST
    if large.any():
        row = int(np.argmax(large))
        found = "infinite" if np.isinf(numbers[row]) else f"{numbers[row]:g}, beyond single precision"
        raise DataError(
            f"{table.path}, {table.place(row)}: column `{name}` is {found}; leave a cell empty where nothing is known."
        )
    return numbers


def unknown_cells(cells: np.ndarray) -> np.ndarray:
    """Which cells say that they are not known, (row,), bool."""
    return np.isnan(cells) if cells.dtype.kind == "f" else np.isin(cells, UNKNOWN)


def numbers_of(cells: np.ndarray) -> np.ndarray:
    """Numbers from text, NaN where there is none."""
    filled = np.where(np.isin(cells, UNKNOWN), "nan", cells)
    try:
        return filled.astype(np.float64)
    except ValueError:
        return np.array([number_or_nan(c) for c in filled.tolist()])


def number_or_nan(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def time_column(table: Table, name: str, unit: str) -> tuple[np.ndarray, bool]:
    """Times (row,), float64, and whether they are dates, which are turned into `unit` since 1970.

    Raises:
        DataError: a cell is neither number nor ISO date, or some are numbers and others dates.
    """
    cells = table.column(name, "time_column")
    if cells.dtype.kind == "M":
        refuse_no_time(np.isnat(cells), table, name, cells)
        return cells.astype("datetime64[us]").astype(np.int64) / 1e6 / SECONDS[unit], True
    if cells.dtype.kind == "f":
        refuse_no_time(~np.isfinite(cells), table, name, cells)
        return cells, False
    numbers = numbers_of(cells)
    if np.isnan(numbers).all():
        return date_seconds(table, name, cells) / SECONDS[unit], True
    refuse_no_time(~np.isfinite(numbers), table, name, cells)
    return numbers, False


def refuse_no_time(bad: np.ndarray, table: Table, name: str, cells: np.ndarray) -> None:
    """Raises:
    DataError: a row has no time of the kind that the others have.
    """
    if bad.any():
        row = int(np.argmax(bad))
        other = "dates" if cells.dtype.kind == "M" else "finite numbers"
        raise DataError(
            f"{table.path}, {table.place(row)}: time `{str(cells[row])[:40]}` in column `{name}` is not of the kind of the "
            f"others, which are {other}; give all times in one way."
        )


def date_seconds(table: Table, name: str, cells: np.ndarray) -> np.ndarray:
    """Seconds since 1970 of ISO dates, (row,); dates without a zone are taken as of one zone.

    Raises:
        DataError: a cell is no ISO date, or some have a zone and others none.
    """
    dates = [date_or_none(c) for c in cells.tolist()]
    if None in dates:
        row = dates.index(None)
        raise DataError(
            f"{table.path}, {table.place(row)}: time `{cells[row][:40]}` in column `{name}` is neither a number nor an ISO "
            "date such as 2024-05-01T13:30:00."
        )
    zoned = [d.tzinfo is not None for d in dates if d is not None]
    if any(zoned) and not all(zoned):
        row = zoned.index(not zoned[0])
        raise DataError(
            f"{table.path}, {table.place(row)}: some times in column `{name}` have a zone and others none; give all one."
        )
    zero = datetime.fromisoformat("1970-01-01T00:00:00+00:00" if zoned[0] else "1970-01-01T00:00:00")
    return np.array([(d - zero).total_seconds() for d in dates if d is not None])


def date_or_none(cell: str) -> datetime | None:
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None
