"""The `.tsv` format of the UCR archive: one series a line, its label first, apart by tabs; unknown values NaN."""

from pathlib import Path

from neuralsde.datamodules.irregular.archive.case import Case, case_of, numbers
from neuralsde.errors import DataError


def read_tsv(text: str, path: Path) -> list[Case]:
    """Cases of a `.tsv` file.

    Raises:
        DataError: a line has no tab, or a value is no number.
    """
    return [read_case(line, number, path) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def read_case(line: str, number: int, path: Path) -> Case:
    """One series."""
    label, *values = line.rstrip("\r\n").split("\t")
    if not values:
        raise DataError(f"{path}, line {number}: there is no tab after the class label; give a tab-separated file.")
    return case_of([numbers(values, path, number)], label, path, number)
