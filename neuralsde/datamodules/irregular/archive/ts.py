"""The `.ts` format: `#` comments, `@` header, then after `@data` channels apart by `:`, values by `,`, the label last."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neuralsde.datamodules.irregular.archive.case import Case, case_of, numbers
from neuralsde.errors import DataError

STAMPED = re.compile(r"\(([^,()]*),([^()]*)\)")


def read_ts(text: str, path: Path) -> list[Case]:
    """Cases of a `.ts` file.

    Raises:
        DataError: there are no labels, or a line does not hold what the header says.
    """
    header, lines = split_header(text, path)
    if header.get("classlabel", "false").split()[0].lower() != "true":
        raise DataError(f"{path}: the header does not say `@classLabel true`; series of known classes are needed.")
    stamped = header.get("timestamps", "false").lower() == "true"
    cases = [read_case(line, number, path, stamped) for number, line in lines]
    check_header(cases, header, path)
    return cases


def split_header(text: str, path: Path) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The header's settings by lower-case key, and the lines of data with their numbers.

    Raises:
        DataError: there is no `@data`.
    """
    numbered = numbered_lines(text)
    header: dict[str, str] = {}
    for _, line in numbered:
        key, _, value = line.removeprefix("@").partition(" ")
        if key.strip().lower() == "data":
            return header, list(numbered)
        header[key.strip().lower()] = value.strip()
    raise DataError(f"{path}: there is no line `@data`; it is cut short, or no .ts file.")


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are neither empty nor comments, counted from 1 with those that are."""
    for number, line in enumerate(text.splitlines(), 1):
        if (line := line.strip()) and not line.startswith("#"):
            yield number, line


def read_case(line: str, number: int, path: Path, stamped: bool) -> Case:
    """One series; `stamped` says that values come as (time,value)."""
    *channels, label = line.split(":")
    if not channels:
        raise DataError(f"{path}, line {number}: there is no `:` before a class label; the file is cut short.")
    if stamped:
        return stamped_case(channels, label, number, path)
    return case_of([numbers(c.split(","), path, number) for c in channels], label, path, number)


def stamped_case(channels: list[str], label: str, number: int, path: Path) -> Case:
    """A series whose channels have times of their own: one row for each time at which any of them has a value.

    Raises:
        DataError: a time occurs twice in a channel.
    """
    pairs = [STAMPED.findall(c) for c in channels]
    stamps = [numbers([t for t, _ in p], path, number) for p in pairs]
    values = [numbers([v for _, v in p], path, number) for p in pairs]
    times = np.unique(np.concatenate(stamps))
    rows = np.full((len(channels), len(times)), np.nan)
    for row, stamp, value in zip(rows, stamps, values, strict=True):
        if len(np.unique(stamp)) < len(stamp) or np.isnan(stamp).any():
            raise DataError(f"{path}, line {number}: a channel has a time twice, or one that is unknown; each needs its own.")
        row[np.searchsorted(times, stamp)] = value
    return case_of(list(rows), label, path, number, times)


def check_header(cases: list[Case], header: dict[str, str], path: Path) -> None:
    """Raises:
    DataError: the series have other channels, lengths or labels than the header says.
    """
    stated = header.get("dimensions") or header.get("dimension") or ("1" if header.get("univariate") == "true" else None)
    known = header["classlabel"].split()[1:]
    equal = header.get("equallength", "false").lower() == "true" and header.get("timestamps", "false").lower() != "true"
    for index, case in enumerate(cases):
        if stated is not None and stated.isdigit() and case.values.shape[1] != int(stated):
            raise DataError(f"{path}: series {index} has {case.values.shape[1]} channels, but the header says {stated}.")
        if known and case.label not in known:
            raise DataError(f"{path}: series {index} is of class `{case.label}`, which the header does not name.")
        if equal and header.get("missing", "false").lower() == "false" and len(case.values) != len(cases[0].values):
            raise DataError(
                f"{path}: series {index} has {len(case.values)} values and series 0 has {len(cases[0].values)}, but the header "
                "says `@equalLength true`; the file is damaged."
            )
