"""From the text of a stay's record to its rows of 41 variables."""

from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from neuralsde.datamodules.irregular.physionet.sources import Source, Texts
from neuralsde.errors import DataError

VARIABLES = (
    "Age", "Gender", "Height", "ICUType", "Weight", "Albumin", "ALP", "ALT", "AST", "Bilirubin", "BUN", "Cholesterol",
    "Creatinine", "DiasABP", "FiO2", "GCS", "Glucose", "HCO3", "HCT", "HR", "K", "Lactate", "Mg", "MAP", "MechVent", "Na",
    "NIDiasABP", "NIMAP", "NISysABP", "PaCO2", "PaO2", "pH", "Platelets", "RespRate", "SaO2", "SysABP", "Temp", "TroponinI",
    "TroponinT", "Urine", "WBC",
)  # fmt: skip
"""In the order of the channels."""
COLUMN = {name: k for k, name in enumerate(VARIABLES)}
QUANTUM_H = 0.016
"""Times are rounded to this many hours, about a minute, as the published code does."""
UNKNOWN_LABEL = -1


class Stays(NamedTuple):
    """Records of many stays, one after the other.

    Args:
        names: set and number of each record, such as `a/132539`, (record,), str.
        length: rows of each, (record,), int64.
        times: hours since admission of each row, (row,), float64.
        values: (row, variable), float32, NaN where not measured; −1 stays where the record says so.
        died: in hospital, (record,), int64; −1 where the outcome is not known.
    """

    names: np.ndarray
    length: np.ndarray
    times: np.ndarray
    values: np.ndarray
    died: np.ndarray


def parse_texts(source: Source, texts: Texts) -> Stays:
    """All records of a source, with a bar while they are read.

    Raises:
        DataError: a record or the outcomes do not hold what they should.
    """
    label, console = f"parsing set {source.set_name}", Console(stderr=True)
    where = str(source.path)
    parsed = [
        parse_record(text, f"{where}, record {name}")
        for name, text in track(texts.records.items(), label, transient=True, console=console)
    ]
    numbers = [name.removesuffix(".txt") for name in texts.records]
    outcomes = {} if texts.outcomes is None else parse_outcomes(texts.outcomes, where)
    return Stays(
        names=np.array([f"{source.set_name}/{n}" for n in numbers], dtype=np.str_),
        length=np.array([len(times) for times, _ in parsed], np.int64),
        times=np.concatenate([times for times, _ in parsed]),
        values=np.concatenate([values for _, values in parsed]),
        died=np.array([outcomes.get(int(n), UNKNOWN_LABEL) for n in numbers], np.int64),
    )


def parse_record(text: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Times (row,) in hours and values (row, variable) of one record.

    The first row is at 0 h. Values of one variable in one row are averaged; RecordID is left out.

    Raises:
        DataError: a line is no `HH:MM,variable,number` of a known variable, or times go back.
    """
    lines = text.decode("utf-8-sig", "replace").splitlines()[1:]
    fields = [line.split(",") for line in lines]
    refuse_first([len(f) != 3 for f in fields], lines, where, "no Time,Parameter,Value")
    kept = [k for k, (_, variable, _) in enumerate(fields) if variable != "RecordID"]
    stamps, variables, words = ([fields[k][column] for k in kept] for column in range(3))
    lines = [lines[k] for k in kept]
    clock = {stamp: hours_of(stamp) for stamp in dict.fromkeys(stamps)}
    hours = np.array([clock[stamp] for stamp in stamps])
    columns = np.array([COLUMN.get(variable, -1) for variable in variables], np.int64)
    values = numbers_of(words)
    numbers = [k + 2 for k in kept]
    refuse_first(np.isnan(hours).tolist(), lines, where, "no time HH:MM", numbers)
    refuse_first((columns < 0).tolist(), lines, where, "none of the 41 variables", numbers)
    refuse_first((~np.isfinite(values)).tolist(), lines, where, "no finite number", numbers)
    refuse_first((np.diff(hours, prepend=0.0) < 0).tolist(), lines, where, "earlier than the line above", numbers)
    return rows_of(hours, columns, values)


def rows_of(hours: np.ndarray, columns: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A row for 0 h and for each later time, with the mean of each variable's values in it."""
    times, row = np.unique(np.concatenate([[0.0], hours]), return_inverse=True)
    total = np.zeros((len(times), len(VARIABLES)))
    count = np.zeros_like(total)
    np.add.at(total, (row[1:], columns), values)
    np.add.at(count, (row[1:], columns), 1)
    return times, np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0).astype(np.float32)


def hours_of(stamp: str) -> float:
    """HH:MM in hours, rounded to `QUANTUM_H`; NaN where it is none."""
    hours, colon, minutes = stamp.partition(":")
    if not (colon and hours.isdecimal() and minutes.isdecimal() and len(hours) < 6 and len(minutes) < 3 and int(minutes) < 60):
        return float("nan")
    return round((int(hours) + int(minutes) / 60) / QUANTUM_H) * QUANTUM_H


def numbers_of(words: list[str]) -> np.ndarray:
    """Numbers, NaN where a word is none."""
    try:
        return np.array(words, dtype=np.float64)
    except ValueError:
        return np.array([number_or_nan(w) for w in words])


def number_or_nan(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def refuse_first(bad: list[bool], lines: list[str], where: str, what: str, numbers: list[int] | None = None) -> None:
    """Refuse the first line of which something is bad.

    Args:
        bad: whether each line is.
        lines: of the record.
        where: file and record.
        what: is found.
        numbers: of the lines; None for 2, 3, ….

    Raises:
        DataError: a line is.
    """
    if any(bad):
        k = bad.index(True)
        number = k + 2 if numbers is None else numbers[k]
        raise DataError(f"{where}, line {number}: `{lines[k][:40]}` is {what}; give the original record.")


def parse_outcomes(text: bytes, where: str) -> dict[int, int]:
    """In-hospital death, 0 or 1, by the number of the record.

    Raises:
        DataError: the columns are others, or a line does not hold them.
    """
    header, *lines = text.decode("utf-8-sig", "replace").split()
    names = header.split(",")
    if not {"RecordID", "In-hospital_death"} <= set(names):
        raise DataError(f"{where}: the outcomes have columns {names}; RecordID and In-hospital_death are needed.")
    record, death = names.index("RecordID"), names.index("In-hospital_death")
    died = {}
    for number, line in enumerate(lines, 2):
        words = line.split(",")
        if len(words) != len(names) or not words[record].isdecimal() or words[death] not in ("0", "1"):
            raise DataError(f"{where}: line {number} of the outcomes, `{line[:40]}`, has no record with death 0 or 1.")
        died[int(words[record])] = int(words[death])
    return died
