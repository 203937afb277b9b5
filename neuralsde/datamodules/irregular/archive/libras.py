"""The `.data` format of UCI's Libras: a header line, then x and y of a hand in turn, and the label last."""

from pathlib import Path

from neuralsde.datamodules.irregular.archive.case import Case, case_of, numbers
from neuralsde.errors import DataError


def read_libras(text: str, path: Path) -> list[Case]:
    """Cases of a Libras file, of two channels.

    Raises:
        DataError: a line does not hold pairs of numbers and a label.
    """
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [read_case(line, number, path) for number, line in lines if not line.startswith("classLast")]


def read_case(line: str, number: int, path: Path) -> Case:
    """One movement."""
    *words, label = line.split(",")
    if not words or len(words) % 2:
        raise DataError(f"{path}, line {number}: {len(words)} values before the label; pairs x,y are needed.")
    values = numbers(words, path, number)
    return case_of([values[0::2], values[1::2]], label, path, number)
