"""Tensors of a recording kept in HDF5, so that the next run does not read it again."""

import errno
import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neuralsde.datamodules.nwb.hdf5 import dataset_in
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import DataError
from neuralsde.files import remove_leftovers, write_atomically

VERSION = 2  # part of the key: raise it when the same recipe gives other tensors
EDGE_BYTES = 1 << 20
HOUR_S = 3600.0  # no entry takes longer to write


class Cache:
    """A folder of binned tensors, one file per recording and recipe.

    An entry is written to a temporary file and renamed, so that two runs at once, or a killed one, leave no half file.
    A damaged entry is made again.

    Args:
        where: True for the folder `.cache` beside the recording (or the user's cache folder, where that cannot be
            written), False for none, else a folder.
        path: data path of the recording.
    """

    def __init__(self, where: bool | str, path: Path):
        self.where, self.path = where, path

    def get(self, files: list[Path], settings: list[Any], build: Callable[[], TrialData]) -> TrialData:
        """The tensors of `files` under `settings`: the cached ones, or those that `build` makes.

        Raises:
            DataError: the entry cannot be written, such as on a full disk.
        """
        if self.where is False:
            return build()
        name = f"{key_of(files, settings)}.h5"
        for folder in self.folders():
            if (data := load(folder / name)) is not None:
                return data
        data = build()
        self.store(name, to_bytes(data))
        return data

    def folders(self) -> list[Path]:
        """Where entries may lie, the preferred folder first."""
        if isinstance(self.where, str):
            return [Path(self.where).expanduser()]
        beside = self.path if self.path.is_dir() else self.path.parent
        home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "neuralsde"
        return [beside / ".cache", home] if may_write(beside) else [home]

    def store(self, name: str, image: bytes) -> None:
        """Write an entry to the first folder that can be written.

        Raises:
            DataError: there is none, or it has no room.
        """
        for folder in self.folders():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                remove_leftovers(folder, older_than_s=HOUR_S)
                return write_atomically(folder / name, image)
            except (PermissionError, FileExistsError, NotADirectoryError):
                continue
            except OSError as error:
                if error.errno == errno.EROFS:
                    continue
                raise DataError(
                    f"{folder / name}: the cache of {len(image) / 1e6:.1f} MB cannot be written ({error.strerror}); "
                    "free some space, or set data.cache=false or data.cache=OTHER_FOLDER."
                ) from error
        raise DataError(
            f"{self.folders()[0]}: the cache cannot be written here; set data.cache=false or data.cache=OTHER_FOLDER."
        )


def may_write(folder: Path) -> bool:
    """Whether a folder is meant to be written: root could write to any, so the permission bits are asked too."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def key_of(files: list[Path], settings: list[Any]) -> str:
    """Name of an entry: a hash of the files' identities and the settings, wherever the files lie.

    A file is known by its size, its time of modification, and the SHA-256 of its first and last MiB.
    """
    digest = hashlib.sha256(json.dumps([VERSION, [repr(s) for s in settings]]).encode())
    for path in files:
        stat = path.stat()
        digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
        with path.open("rb") as file:
            digest.update(file.read(EDGE_BYTES))
            file.seek(max(stat.st_size - EDGE_BYTES, 0))
            digest.update(file.read(EDGE_BYTES))
    return digest.hexdigest()[:32]


def to_bytes(data: TrialData) -> bytes:
    """An HDF5 image of the tensors, made in memory (counts shrink to a few per cent) so that it is written at once."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        facts = {"name": data.name, "behavior_kind": data.behavior_kind, "source": data.source}
        file.attrs["facts"] = json.dumps(facts | {"spec": asdict(data.spec)})
        file.attrs["lists"] = json.dumps([data.behavior_names, data.condition_names])
        if data.psth is not None:
            put(file, "psth", data.psth)
        for split in ("train", "eval"):
            trials = getattr(data, split)
            for f in fields(trials):
                if (values := getattr(trials, f.name)) is not None:
                    put(file, f"{split}/{f.name}", values)
    return buffer.getvalue()


def put(file: h5py.File, name: str, values: np.ndarray) -> None:
    if values.size:
        file.create_dataset(name, data=values, compression="gzip", compression_opts=1, shuffle=True, fletcher32=True)
    else:
        file.create_dataset(name, data=values)


def load(path: Path) -> TrialData | None:
    """The tensors of an entry; None where there is none, or a damaged one."""
    try:
        with h5py.File(path, "r") as file:
            facts = json.loads(str(file.attrs["facts"]))
            behavior_names, condition_names = (tuple(names) for names in json.loads(str(file.attrs["lists"])))
            train, scored = load_trials(file, "train"), load_trials(file, "eval")
            psth = load_array(file, "psth")
    except (OSError, KeyError, ValueError, TypeError, RuntimeError):
        return None
    return TrialData(
        spec=DataSpec(**facts.pop("spec")),
        train=train,
        eval=scored,
        psth=psth,
        behavior_names=behavior_names,
        condition_names=condition_names,
        **facts,
    )


def load_trials(file: h5py.File, split: str) -> Trials:
    arrays = {f.name: load_array(file, f"{split}/{f.name}") for f in fields(Trials)}
    heldin = arrays.pop("heldin")
    if heldin is None:
        raise KeyError(split)
    return Trials(heldin, **arrays)


def load_array(file: h5py.File, name: str) -> np.ndarray | None:
    dataset = dataset_in(file, name)
    return None if dataset is None else np.asarray(dataset[()])
