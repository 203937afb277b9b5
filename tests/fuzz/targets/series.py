"""Readers of irregular series: archives' texts, tables, intensive-care records, and arrays of trajectories."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np

from neuralsde.datamodules.irregular import MujocoForecast, Physionet2012, Sepsis2019, TableSeries, UCRArchive
from neuralsde.datamodules.irregular.sepsis2019 import COLUMNS
from tests.fuzz import text
from tests.fuzz.target import Target
from tests.helpers.archive_files import arff_text, libras_text, random_cases, ts_text, tsv_text
from tests.helpers.physionet_files import outcomes_text, record_texts, write_tar
from tests.helpers.table_files import csv_text, random_rows

ARCHIVES = {".ts": ts_text, ".tsv": tsv_text, ".arff": arff_text, ".data": libras_text}
N_CHANNELS = {".ts": 2, ".tsv": 1, ".arff": 1, ".data": 2}
N_RECORDS = 12
TABLES = {
    "interpolation": {},
    "forecast": {"ahead_rows": 2},
    "classification": {"label_column": "kind", "static": ["weight"]},
}


def archive_seed(folder: Path, ending: str) -> list[Path]:
    path = folder / f"seed{ending}"
    path.write_text(ARCHIVES[ending](random_cases(12, N_CHANNELS[ending], 45 if ending == ".data" else 6, seed=0)))
    return [path]


def read_archive(path: Path) -> None:
    """As both parts of a set, or as its one file."""
    place = path.parent / "set"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    parts = ("TRAIN", "TEST") if path.suffix != ".data" else ("",)
    for part in parts:
        shutil.copy(path, place / f"set_{part}{path.suffix}")
    UCRArchive("set", place, missing_rate=0.3).read()


def table_seed(folder: Path) -> list[Path]:
    path = folder / "seed.csv"
    path.write_text(csv_text(random_rows(12)))
    return [path]


def read_table(path: Path, task: str) -> None:
    others = {} if task == "classification" else {"channels": ["x", "y"]}
    TableSeries(path, task, **TABLES[task], **others).read()


def records_seed(folder: Path) -> list[Path]:
    """One record's text; the others of a set are good."""
    path = folder / "seed.txt"
    path.write_text(next(iter(record_texts(1).values())))
    return [path]


def read_records(path: Path) -> None:
    """A set whose first record is the file's text."""
    texts = record_texts(N_RECORDS)
    content = path.read_bytes().decode("latin-1")
    members = {f"set-a/{name}": content if k == 0 else text for k, (name, text) in enumerate(texts.items())}
    archive = write_tar(path.parent / "set-a.tar.gz", {"Outcomes-a.txt": outcomes_text(texts)} | members)
    Physionet2012(archive, cache=False).read()


def tar_seed(folder: Path) -> list[Path]:
    texts = record_texts(N_RECORDS)
    members = {f"set-a/{name}": text for name, text in texts.items()}
    return [write_tar(folder / "set-a.tar.gz", {"Outcomes-a.txt": outcomes_text(texts)} | members)]


def read_tar(path: Path) -> None:
    place = path.parent / "set-a.tar.gz"
    shutil.copy(path, place)
    Physionet2012(place, cache=False).read()


def patient_seed(folder: Path) -> list[Path]:
    path = folder / "seed.psv"
    rng = np.random.default_rng(0)
    header = "|".join(COLUMNS)
    rows = ["|".join([*map(str, rng.normal(size=34).round(2)), "60", "1", "0", "1", "-3", str(h), "0"]) for h in range(1, 6)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return [path]


def read_patients(path: Path) -> None:
    """One of a folder's patients is the file."""
    place = path.parent / "patients"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    good = patient_seed(path.parent)[0].read_text()
    for k in range(20):
        (place / f"p{k:06d}.psv").write_text(good if k % 2 else good.replace("|0\n", "|1\n"))
    shutil.copy(path, place / "p000000.psv")
    Sepsis2019(place).read()


def trajectories_seed(folder: Path) -> list[Path]:
    path = folder / "seed.npy"
    np.save(path, np.random.default_rng(0).random((6, 20, 3), np.float32))
    return [path]


TARGETS = [
    *(
        Target(f"archive {ending}", ending, partial(archive_seed, ending=ending), read_archive, text.MUTATIONS, share=0.7,
               guided=ending == ".ts")
        for ending in ARCHIVES
    ),
    *(
        Target(f"table {task}", ".csv", table_seed, partial(read_table, task=task), text.MUTATIONS, share=0.7,
               guided=task == "classification")
        for task in TABLES
    ),
    Target("physionet record", ".txt", records_seed, read_records, text.MUTATIONS, share=0.7),
    Target("physionet archive", ".gz", tar_seed, read_tar, share=0.7),
    Target("sepsis patient", ".psv", patient_seed, read_patients, text.MUTATIONS, share=0.7),
    Target("mujoco", ".npy", trajectories_seed, lambda path: MujocoForecast(path, window=8, ahead=2).read(), share=0.7),
]  # fmt: skip
