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
    hours, columns, values = [0.0], [], []
    rows: list[int] = []
    for number, line in enumerate(text.decode("utf-8-sig", "replace").splitlines()[1:], 2):
        stamp, variable, value = fields_of(line, where, number)
        if variable == "RecordID":
            continue
        time = hours_of(stamp, where, number)
        if time < hours[-1]:
            raise DataError(f"{where}, line {number}: time {stamp} is before that of the line above; rows in order are needed.")
        if time != hours[-1]:
            hours.append(time)
        rows.append(len(hours) - 1)
        columns.append(column_of(variable, where, number))
        values.append(number_of(value, where, number))
    total = np.zeros((len(hours), len(VARIABLES)))
    count = np.zeros_like(total)
    np.add.at(total, (rows, columns), values)
    np.add.at(count, (rows, columns), 1)
    return np.array(hours), np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0).astype(np.float32)


def fields_of(line: str, where: str, number: int) -> list[str]:
    """Time, variable and value of a line."""
    words = line.split(",")
    if len(words) != 3:
        raise DataError(f"{where}, line {number}: `{line[:40]}` is no Time,Parameter,Value; give the original record.")
    return words


def hours_of(stamp: str, where: str, number: int) -> float:
    """HH:MM in hours, rounded to `QUANTUM_H`."""
    hours, colon, minutes = stamp.partition(":")
    if not (colon and hours.isdecimal() and minutes.isdecimal() and int(minutes) < 60):
        raise DataError(f"{where}, line {number}: time `{stamp[:20]}` is no HH:MM; give the original record.")
    return round((int(hours) + int(minutes) / 60) / QUANTUM_H) * QUANTUM_H


def column_of(variable: str, where: str, number: int) -> int:
    """Channel of a variable."""
    if variable not in COLUMN:
        raise DataError(f"{where}, line {number}: `{variable[:40]}` is none of the 41 variables; give the original record.")
    return COLUMN[variable]


def number_of(word: str, where: str, number: int) -> float:
    """A finite number."""
    try:
        value = float(word)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise DataError(f"{where}, line {number}: value `{word[:20]}` is no finite number; give the original record.")
    return value


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
