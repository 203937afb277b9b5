r"""The `.arff` format: `%` comments, `@` header, then after `@data` values and label apart by `,`; where there are several
channels they stand in quotes, apart by the two characters `\n`."""

import re
from pathlib import Path

from neuralsde.datamodules.irregular.archive.case import Case, case_of, numbers
from neuralsde.errors import DataError

QUOTED = re.compile(r"""^\s*(['"])(.*)\1\s*,\s*(.*)$""")


def read_arff(text: str, path: Path) -> list[Case]:
    """Cases of an `.arff` file.

    Raises:
        DataError: there is no `@data`, or a value is no number.
    """
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    lines = [(n, line) for n, line in lines if line and not line.startswith("%")]
    begin = next((k for k, (_, line) in enumerate(lines) if line.lower() == "@data"), None)
    if begin is None:
        raise DataError(f"{path}: there is no line `@data`; it is cut short, or no .arff file.")
    return [read_case(line, number, path) for number, line in lines[begin + 1 :]]


def read_case(line: str, number: int, path: Path) -> Case:
    """One series, of several channels where it stands in quotes."""
    if quoted := QUOTED.match(line):
        _, channels, label = quoted.groups()
        return case_of([numbers(c.split(","), path, number) for c in channels.split("\\n")], label, path, number)
    values, comma, label = line.rpartition(",")
    if not comma:
        raise DataError(f"{path}, line {number}: there is no `,` before a class label; the file is cut short.")
    return case_of([numbers(values.split(","), path, number)], label, path, number)
