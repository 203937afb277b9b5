"""A table's columns by name, whatever kind of file it is."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.irregular.extras import extra_module
from neuralsde.datamodules.nwb.hdf5 import choices, one_line
from neuralsde.errors import DataError

LONGEST_CELL = 1000
LARGEST_EXACT = 2**53
"""Floats tell whole numbers apart up to here."""
SEPARATORS = {",": ",", ";": ";", "\t": "a tab", "|": "|"}
WORDS = {s: "data.reader.separator=tab" if s == "\t" else f"\"data.reader.separator='{s}'\"" for s in SEPARATORS}
"""How the shell and Hydra are told so."""


class Table(NamedTuple):
    """Columns of a file.

    Args:
        path: of the file.
        columns: cells (row,) by name: text, numbers or numpy's datetimes.
        row_word: what a row is called in errors: `line` of a text, counted with the header, else `row`.
        lines: number of each row in those words, (row,).
        zoned: columns of dates that have a zone, told in UTC.
    """

    path: Path
    columns: dict[str, np.ndarray]
    row_word: str
    lines: np.ndarray
    zoned: frozenset[str] = frozenset()

    def column(self, name: str, setting: str) -> np.ndarray:
        """Cells of a column.

        Args:
            name: of the column.
            setting: that names it, for the error's sentence.

        Raises:
            DataError: there is none.
        """
        if name not in self.columns:
            raise DataError(
                f"{self.path}: holds no column `{name}` (data.reader.{setting}); {choices(name, list(self.columns))}."
            )
        return self.columns[name]

    def place(self, row: int | np.integer) -> str:
        """A row in words, such as `line 7`."""
        return f"{self.row_word} {self.lines[row]}"


def read_table(path: Path, separator: str) -> Table:
    """Columns of a .csv or .parquet file.

    Raises:
        DataError: there is no such file, it is damaged, or its header is no list of distinct names.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}; set data.reader.path to a .csv or .parquet file.")
    table = read_parquet(path) if path.suffix in (".parquet", ".pq") else read_csv(path, separator)
    if not len(table.lines):
        raise DataError(f"{path}: holds no rows; the table is empty.")
    return table


def read_csv(path: Path, separator: str) -> Table:
    """Columns of a text with a header, as text."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is no UTF-8 text; save the file as UTF-8.") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: cannot be read as text with separators ({error}).") from error
    if not rows:
        raise DataError(f"{path}: the file is empty; a header with the names of the columns, and rows, are needed.")
    names = [name.strip() for name in rows[0]]
    refuse_bad_header(names, separator, path)
    for line, row in zip(lines, rows, strict=True):
        refuse_bad_row(row, len(names), path, line)
    cells = [np.char.strip(np.array(column, dtype=np.str_)) for column in zip(*rows[1:], strict=True)] or [np.array([])] * len(
        names
    )
    return Table(path, dict(zip(names, cells, strict=True)), "line", np.array(lines[1:], np.int64))


def refuse_bad_row(row: list[str], n: int, path: Path, line: int) -> None:
    """Raises:
    DataError: the row has not `n` cells, or one that is longer than a cell can be.
    """
    if (longest := max(map(len, row))) > LONGEST_CELL:
        raise DataError(f"{path}, line {line}: a cell has {longest} characters; perhaps a quotation mark is not closed.")
    if len(row) != n:
        raise DataError(f"{path}, line {line}: has {len(row)} cells, but the header names {n} columns.")


def refuse_bad_header(names: list[str], separator: str, path: Path) -> None:
    """Raises:
    DataError: names are missing or there twice, or the separator is another one.
    """
    others = [s for s in SEPARATORS if s != separator and s in names[0]]
    if len(names) == 1 and others:
        raise DataError(
            f"{path}: the header `{names[0][:60]}` is one column; its separator seems to be {SEPARATORS[others[0]]}: give "
            f"{WORDS[others[0]]} on the command line."
        )
    refuse_repeated(names, path)
    if "" in names:
        raise DataError(f"{path}: column {names.index('') + 1} has no name; name each in the header.")


def refuse_repeated(names: list[str], path: Path) -> None:
    """Raises:
    DataError: two columns have one name.
    """
    if twice := [n for n in names if names.count(n) > 1]:
        raise DataError(f"{path}: {names.count(twice[0])} columns are called `{twice[0]}`; give each a name of its own.")


def read_parquet(path: Path) -> Table:
    """Columns of a Parquet file, of the kind that they have there; unknown numbers are NaN.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: the file is damaged.
    """
    parquet = extra_module("pyarrow.parquet", "irregular", f"Reading {path.name}")
    arrow = extra_module("pyarrow", "irregular", f"Reading {path.name}")
    try:
        refuse_repeated([str(name) for name in parquet.read_schema(path).names], path)
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: cannot be read as Parquet ({one_line(error)}); it is damaged or another kind of file."
        ) from error
    names = [str(name) for name in table.column_names]
    zoned = frozenset(n for n, column in zip(names, table.columns, strict=True) if getattr(column.type, "tz", None))
    columns = {name: plain_cells(column.to_numpy()) for name, column in zip(names, table.columns, strict=True)}
    return Table(path, columns, "row", np.arange(1, table.num_rows + 1), zoned)


def plain_cells(cells: np.ndarray) -> np.ndarray:
    """Numbers, datetimes or text; objects become text, empty where there is none."""
    if cells.dtype.kind in "iu" and len(cells) and max(abs(int(cells.min())), int(cells.max())) > LARGEST_EXACT:
        return cells.astype(np.str_)  # identities that floats would merge
    if cells.dtype.kind in "buif":
        return cells.astype(np.float64) if cells.dtype.kind != "b" else cells.astype(np.str_)
    return cells if cells.dtype.kind == "M" else np.array(["" if c is None else str(c) for c in cells], dtype=np.str_)
