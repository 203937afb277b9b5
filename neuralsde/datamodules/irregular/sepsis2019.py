"""PhysioNet/CinC Challenge 2019: who will have sepsis, from the first 72 hours in intensive care."""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from neuralsde.datamodules.irregular.assemble import padded, trimmed
from neuralsde.datamodules.irregular.checks import checked_choice
from neuralsde.datamodules.irregular.scaling import KINDS, STATS, standardise, standardise_static
from neuralsde.datamodules.irregular.series import AbstractReader, SeriesData, SeriesSet
from neuralsde.datamodules.irregular.split import stratified_split
from neuralsde.errors import DataError

CHANNELS = (
    "HR", "O2Sat", "Temp", "SBP", "MAP", "DBP", "Resp", "EtCO2", "BaseExcess", "HCO3", "FiO2", "pH", "PaCO2", "SaO2", "AST",
    "BUN", "Alkalinephos", "Calcium", "Chloride", "Creatinine", "Bilirubin_direct", "Glucose", "Lactate", "Magnesium",
    "Phosphate", "Potassium", "Bilirubin_total", "TroponinI", "Hct", "Hgb", "PTT", "WBC", "Fibrinogen", "Platelets",
)  # fmt: skip
STATIC = ("Age", "Gender", "Unit1", "Unit2", "HospAdmTime")
COLUMNS = (*CHANNELS, *STATIC, "ICULOS", "SepsisLabel")
LAST_HOUR = 72
SHARES = (0.7, 0.15, 0.15)
SEEDS = (0, 1)
"""Of the two divisions of the published split, the same in all runs."""
WHERE = "the folder of training_setA and training_setB (folders of .psv files, or the .zip files) of the 2019 challenge"
LARGEST_BYTES = 10_000_000


class Patient(NamedTuple):
    """One patient.

    Args:
        name: of the file.
        hours: since admission, (row,).
        values: (row, channel), NaN where not measured.
        static: (static,).
        label: whether there was sepsis.
    """

    name: str
    hours: np.ndarray
    values: np.ndarray
    static: np.ndarray
    label: int


class Sepsis2019(AbstractReader):
    """Patients with 34 hourly channels at the hours that were recorded.

    Rows after hour 72 are left out, and so are patients with two rows or fewer. The label is whether any of the rows that
    stay says sepsis. Patients are in order of their file names and split 70/15/15 by label (seeds 0 and 1).

    Args:
        path: a folder in which .psv files or .zip archives of them lie, or one archive.
        intensity: put the number of measurements of each channel so far before the channels, and whether each unit is
            known behind the static columns ("OI").
        scale: of channels and of the five static columns: `z`, `min_max` or `none`.
        stats: what the scale looks at: `train`, as published, or `all`.
        keep_empty_rows: a row for every hour from 1 to the last, as in the papers.

    Raises:
        ConfigError: a setting is impossible.
    """

    def __init__(
        self, path: str | Path, intensity: bool = True, scale: str = "z", stats: str = "train", keep_empty_rows: bool = False
    ):
        self.path, self.intensity, self.keep_empty_rows = Path(path).expanduser(), intensity, keep_empty_rows
        self.scale, self.stats = checked_choice("scale", scale, KINDS), checked_choice("stats", stats, STATS)

    def files(self) -> list[Path]:
        """The archives; the patients' files of a folder are too many to list."""
        return [self.path] if self.path.is_file() else sorted(self.path.rglob("*.zip"))

    def read(self) -> SeriesData:
        """Read, count, split, and scale.

        Raises:
            DataError: there are no patients, or a file does not hold what it should.
        """
        texts = sorted(patient_texts(self.path), key=lambda item: PurePosixPath(item[0]).name)
        if not texts:
            raise DataError(f"{self.path}: holds no .psv files; set data.reader.path to {WHERE}.")
        bar = track(texts, "reading patients", transient=True, console=Console(stderr=True))
        patients = [p for p in (read_patient(name, text, self.keep_empty_rows) for name, text in bar) if len(p.hours) > 2]
        if not patients:
            raise DataError(f"{self.path}: no patient has more than two rows; set data.reader.path to {WHERE}.")
        series = as_set(patients, self.intensity)
        assert series.labels is not None
        classes = ("no sepsis", "sepsis")
        split = stratified_split(series.labels, classes, SHARES, *SEEDS, what=str(self.path))
        train, val, test = (trimmed(series[index]) for index in split)
        data = SeriesData(
            "sepsis2019", train, val, test,
            channel_names=(*(f"{c} count" for c in CHANNELS), *CHANNELS) if self.intensity else CHANNELS,
            class_names=classes,
            static_names=(*STATIC, "Unit1 known", "Unit2 known") if self.intensity else STATIC, time_unit="h",
            source=f"{self.path.name}, {len(patients)} patients, scale {self.scale} of {self.stats}",
        )  # fmt: skip
        data, _ = standardise(data, self.scale, self.stats)
        return standardise_static(data, len(STATIC), self.scale, self.stats)


def patient_texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each .psv file in a folder or in archives, which are read in memory.

    Raises:
        DataError: there is no such path, or an archive is damaged.
    """
    if not path.exists():
        raise DataError(f"There is no {path}; set data.reader.path to {WHERE}.")
    if path.is_dir():
        for file in path.rglob("*.psv"):
            yield file.name, file.read_bytes()
    for archive in [path] if path.is_file() else path.rglob("*.zip"):
        try:
            with zipfile.ZipFile(archive) as members:
                for info in members.infolist():
                    if info.filename.endswith(".psv") and info.file_size <= LARGEST_BYTES:
                        yield PurePosixPath(info.filename).name, members.read(info)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(f"{archive}: the archive cannot be read ({error}); fetch it again.") from error


def read_patient(name: str, text: bytes, every_hour: bool) -> Patient:
    """One patient's rows up to hour 72.

    Args:
        name: of the file.
        text: its content.
        every_hour: give hours that were skipped a row of NaN.

    Raises:
        DataError: columns are others, a cell is no number, or hours do not increase.
    """
    lines = text.decode("utf-8-sig", "replace").split()
    if not lines or tuple(lines[0].split("|")) != COLUMNS:
        raise DataError(f"{name}: the header is not that of the challenge's 41 columns, from HR to SepsisLabel.")
    rows = np.array([cells_of(line, name, number) for number, line in enumerate(lines[1:], 2)]).reshape(-1, len(COLUMNS))
    hours = rows[:, -2]
    if not (np.diff(hours, prepend=0) > 0).all():
        line = int(np.argmax(~(np.diff(hours, prepend=0) > 0))) + 2
        raise DataError(f"{name}, line {line}: hour ICULOS {hours[line - 2]:g} is not after the one before it.")
    rows = rows[hours <= LAST_HOUR]
    label = int(np.nanmax(rows[:, -1], initial=0))
    static = rows[0, len(CHANNELS) : -2] if len(rows) else np.full(len(STATIC), np.nan)
    hours, values = rows[:, -2], rows[:, : len(CHANNELS)]
    if every_hour and len(hours):
        grid = np.arange(1.0, hours[-1] + 1)
        filled = np.full((len(grid), len(CHANNELS)), np.nan)
        filled[np.searchsorted(grid, hours)] = values
        hours, values = grid, filled
    return Patient(name.removesuffix(".psv"), hours, values, static, label)


def cells_of(line: str, name: str, number: int) -> np.ndarray:
    """Numbers of a line, NaN where not measured."""
    try:
        cells = np.array(line.split("|"), np.float64)
    except ValueError as error:
        raise DataError(f"{name}, line {number}: a cell is no number ({error}).") from error
    if len(cells) != len(COLUMNS) or np.isinf(cells).any():
        raise DataError(f"{name}, line {number}: 41 finite numbers, or NaN, are needed.")
    return cells


def as_set(patients: list[Patient], intensity: bool) -> SeriesSet:
    """All patients as one set."""
    series = padded([p.hours for p in patients], [p.values for p in patients], [p.name for p in patients])
    static = np.stack([p.static for p in patients]).astype(np.float32)
    labels = np.array([p.label for p in patients], np.int64)
    if not intensity:
        return replace(series, static=static, labels=labels)
    counts = (~np.isnan(series.values)).cumsum(1).astype(np.float32)
    counts[np.arange(counts.shape[1]) >= series.length[:, None]] = np.nan
    units = static[:, [STATIC.index("Unit1"), STATIC.index("Unit2")]]
    known = (~np.isnan(units)).astype(np.float32)
    values = np.concatenate([counts, series.values], -1)
    return replace(series, values=values, static=np.concatenate([static, known], 1), labels=labels)
