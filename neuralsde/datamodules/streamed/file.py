"""The file: each array of `Trials` as one uncompressed block, so that a trial's place in it is known."""

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from neuralsde.datamodules.nwb.hdf5 import dataset_in, open_hdf5
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import DataError

VERSION = 1
SPLITS = ("train", "eval")
FACTS = ("name", "behavior_kind", "source", "length_unit", "is_video", "behavior_names", "angle_channels", "condition_names")
ARRAYS = tuple(f.name for f in fields(Trials))


class TrialFileWriter:
    """Writes a file of trials part by part, so that they are never in memory together.

    The file gets its name once both splits are complete.

        with TrialFileWriter("large.h5", about, n_train=100_000, n_eval=500) as file:
            for trials in parts:
                file.append("train", trials)
            file.append("eval", scored)

    Args:
        path: of the file.
        about: name, sizes, conditions and mean responses of the recording; of its trials only the first are looked at, for
            the arrays that there are.
        n_train: training trials to come.
        n_eval: evaluation trials to come.
    """

    def __init__(self, path: Path | str, about: TrialData, n_train: int, n_eval: int):
        self.path, self.about, self.sizes = Path(path), about, {"train": n_train, "eval": n_eval}
        self.written = dict.fromkeys(SPLITS, 0)
        self._partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")

    def __enter__(self) -> "TrialFileWriter":
        self._partial.parent.mkdir(parents=True, exist_ok=True)
        self._file = h5py.File(self._partial, "w")
        facts = {name: getattr(self.about, name) for name in FACTS}
        self._file.attrs["trials"] = json.dumps({"version": VERSION, "spec": asdict(self.about.spec), **facts})
        if self.about.psth is not None:
            self._file["psth"] = self.about.psth
        return self

    def append(self, split: str, trials: Trials) -> None:
        """Add trials to `train` or `eval`.

        Raises:
            DataError: they are more than were said to come, or have other arrays or sizes than those before.
        """
        start, stop = self.written[split], self.written[split] + len(trials)  # pyright: ignore[reportArgumentType]
        given = {name: value for name in ARRAYS if (value := getattr(trials, name)) is not None}
        if not start:
            for name, value in given.items():
                self._file.create_dataset(f"{split}/{name}", (self.sizes[split], *value.shape[1:]), value.dtype)
        group = self._file[split]
        assert isinstance(group, h5py.Group)
        there = {name: (dataset_of(group, name).shape[1:], dataset_of(group, name).dtype) for name in group}  # pyright: ignore[reportArgumentType]
        if stop > self.sizes[split] or there != {name: (value.shape[1:], value.dtype) for name, value in given.items()}:
            raise DataError(
                f"{self.path}: trials {start} to {stop} of `{split}` are more than the {self.sizes[split]} announced, "
                "or have other arrays than those before; append parts of one recording."
            )
        for name, value in given.items():
            dataset_of(group, name)[start:stop] = value
        self.written[split] = stop  # pyright: ignore[reportArgumentType]

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._file.close()
        if kind is None and self.written == self.sizes:
            os.replace(self._partial, self.path)
            return
        self._partial.unlink(missing_ok=True)
        if kind is None:
            raise DataError(f"{self.path}: {self.written} trials were appended, but {self.sizes} announced; append all.")


def dataset_of(group: h5py.Group, name: str) -> h5py.Dataset:
    """An array that is there."""
    found = dataset_in(group, name)
    assert found is not None
    return found


class Block(NamedTuple):
    """Where an array lies in a file.

    Args:
        path: of the file.
        offset: of its first byte.
        shape: its first axis is that of the trials.
        dtype: of its entries.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def rows(self, index: np.ndarray) -> np.ndarray:
        """The trials at `index`, read by their place: a map of the file would hold in memory what has been touched of it.

        Raises:
            DataError: the file is shorter than when it was opened.
        """
        found = np.empty((len(index), *self.shape[1:]), self.dtype)
        bytes_each = found[:1].nbytes
        with self.path.open("rb", buffering=0) as file:
            for row, number in zip(found.view(np.uint8).reshape(len(found), -1), index.tolist(), strict=True):
                file.seek(self.offset + number * bytes_each)
                if file.readinto(row.data) != bytes_each:
                    raise DataError(f"{self.path}: the file has been cut short since it was opened; write it again.")
        return found


class StoredTrials:
    """One split of a file, of which only what is asked for is read.

    Holds no open file, so that it can be handed to other processes.

    Args:
        blocks: where its arrays lie, by name.
    """

    def __init__(self, blocks: dict[str, Block]):
        self.blocks = blocks

    def __len__(self) -> int:
        return self.blocks["heldin"].shape[0]

    def __getitem__(self, index: Any) -> Trials:
        """The trials at `index` (indices or a slice), in memory."""
        numbers = np.arange(len(self))[index]
        return Trials(**{name: block.rows(numbers) for name, block in self.blocks.items()})


class Stored(NamedTuple):
    """What a file holds: its facts, and its splits, not read."""

    facts: dict[str, Any]
    psth: np.ndarray | None
    train: StoredTrials
    eval: StoredTrials


def open_trials(path: Path) -> Stored:
    """What the file at `path` holds.

    Raises:
        DataError: it is missing, cut short, or was written by something else.
    """
    with open_hdf5(path) as file:
        try:
            facts = json.loads(str(file.attrs["trials"]))
            if facts.pop("version") != VERSION:
                raise ValueError("it is of another version")
            facts["spec"] = DataSpec(**facts["spec"])
            splits = [StoredTrials(blocks_of(file, split, path)) for split in SPLITS]
            psth = dataset_in(file, "psth")
            found = None if psth is None else np.asarray(psth[()])
        except (KeyError, ValueError, TypeError, OSError, RuntimeError) as error:
            raise DataError(
                f"{path} is no file of trials ({' '.join(str(error).split())}): write one with "
                "neuralsde.datamodules.streamed.TrialFileWriter, or read it with data=nwb or data=arrays."
            ) from error
    for name in ("behavior_names", "condition_names"):
        facts[name] = tuple(facts[name])
    facts["angle_channels"] = tuple(tuple(pair) for pair in facts["angle_channels"])
    return Stored(facts, found, *splits)


def blocks_of(file: h5py.File, split: str, path: Path) -> dict[str, Block]:
    """Where the arrays of a split lie.

    Raises:
        ValueError: one does not lie in one piece inside the file, or there are other numbers of trials than of `heldin`.
    """
    group, blocks = file[split], {}
    assert isinstance(group, h5py.Group)
    for name in group:
        dataset = dataset_of(group, name)  # pyright: ignore[reportArgumentType]
        offset = dataset.id.get_offset()
        whole = offset is not None and offset + dataset.nbytes <= path.stat().st_size
        if name not in ARRAYS or not whole or dataset.dtype.kind not in "fib":
            raise ValueError(f"`{split}/{name}` does not lie in it in one piece, as numbers")
        blocks[name] = Block(path, offset, dataset.shape, dataset.dtype)  # pyright: ignore[reportArgumentType]
    if len({block.shape[0] for block in blocks.values()}) != 1 or "heldin" not in blocks:
        raise ValueError(f"the arrays of `{split}` are not of the same trials")
    return blocks
