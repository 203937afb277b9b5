"""Numbers and times from the cells of a column."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.irregular.table.file import Table
from neuralsde.errors import DataError

UNKNOWN = ("", "NA", "N/A", "NaN", "nan", "null", "None", "?")
LARGEST = float(np.finfo(np.float32).max)


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


def names_in(cells: np.ndarray) -> np.ndarray:
    """Names, (row,), text; whole numbers without a point, as they are in a file of text, and empty where there is none."""
    if cells.dtype.kind != "f":
        return cells.astype(np.str_)
    known = ~np.isnan(cells)
    whole = (cells[known] == np.round(cells[known])).all()
    return np.where(known, np.where(known, cells, 0).astype(np.int64 if whole else np.float64).astype(np.str_), "")


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


class Times(NamedTuple):
    """A column of times.

    Args:
        cells: numbers (row,), float64, or dates, datetime64, of UTC where they have a zone.
        zone: `+00:00` of dates with a zone, else empty.
    """

    cells: np.ndarray
    zone: str = ""


def time_column(table: Table, name: str) -> Times:
    """The times of all rows, numbers or dates.

    Raises:
        DataError: a cell is neither number nor ISO date, or some are numbers and others dates; or numbers are dates without
            separators.
    """
    cells = table.column(name, "time_column")
    if cells.dtype.kind == "M":
        refuse_no_time(np.isnat(cells), table, name, cells, "dates")
        return Times(cells, "+00:00" if name in table.zoned else "")
    numbers = cells if cells.dtype.kind == "f" else numbers_of(cells)
    if cells.dtype.kind != "f" and np.isnan(numbers).mean() > 0.5:  # dates, most of them
        refuse_no_time(~np.isnan(numbers), table, name, cells, "dates")
        return date_cells(table, name, cells)
    refuse_no_time(~np.isfinite(numbers), table, name, cells, "finite numbers")
    refuse_joined_dates(numbers, table, name)
    return Times(numbers)


def refuse_no_time(bad: np.ndarray, table: Table, name: str, cells: np.ndarray, others: str) -> None:
    """Raises:
    DataError: a row has no time of the kind that the others have.
    """
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{table.path}, {table.place(row)}: time `{str(cells[row])[:40]}` in column `{name}` is not of the kind of the "
            f"others, which are {others}; give all times in one way."
        )


def refuse_joined_dates(numbers: np.ndarray, table: Table, name: str) -> None:
    """Raises:
    DataError: every number is a day written without separators, whose differences are no times.
    """
    month, day = numbers // 100 % 100, numbers % 100
    years = (numbers == np.floor(numbers)) & (numbers >= 19000101) & (numbers < 21000101)
    if (years & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
        raise DataError(
            f"{table.path}, {table.place(0)}: time `{numbers[0]:.0f}` in column `{name}` is a date without separators, as all "
            f"others are; write it as {numbers[0] // 10000:.0f}-{month[0]:02.0f}-{day[0]:02.0f}."
        )


def date_cells(table: Table, name: str, cells: np.ndarray) -> Times:
    """ISO dates, (row,), datetime64; dates without a zone are taken as of one zone.

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
    plain = [d.astimezone(UTC).replace(tzinfo=None) if zoned[0] else d for d in dates if d is not None]
    return Times(np.array(plain, "datetime64[us]"), "+00:00" if zoned[0] else "")


def date_or_none(cell: str) -> datetime | None:
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None
