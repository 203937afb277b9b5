"""Time series of an NWB file: found by name, read a block of rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from neuralsde.datamodules.nwb.hdf5 import attribute, choices, dataset_in, group_in, read, text_attribute, visit
from neuralsde.errors import DataError

ROWS_AT_ONCE = 1 << 16  # rows of a series held in memory at a time
PLACES = ("processing", "acquisition")


@dataclass(frozen=True)
class Series:
    """A time series, still on disk.

    Args:
        name: its name in the file.
        data: (sample,) or (sample, channel).
        timestamps: time of each sample in seconds, where the file states them.
        start_s, rate_hz: time of the first sample and sampling rate, where it does not.
        channels: names of the channels.
    """

    name: str
    data: h5py.Dataset
    timestamps: h5py.Dataset | None
    start_s: float
    rate_hz: float
    channels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.data)

    def times(self, start: int, stop: int) -> np.ndarray:
        """Times of the samples from `start` to `stop`, in seconds."""
        if self.timestamps is not None:
            return read(self.timestamps, slice(start, stop)).astype(np.float64)
        return np.arange(start, stop) / self.rate_hz + self.start_s

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Times (sample,) and values (sample, channel), a block of rows at a time."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, len(self))
            values = read(self.data, slice(start, stop)).astype(np.float64)
            yield self.times(start, stop), values.reshape(stop - start, -1)


def find_series(file: h5py.File, name: str) -> Series:
    """The time series called `name`: its own name, `Container_name`, or its path in the file.

    Raises:
        DataError: there is no such series, or several, or it cannot be used.
    """
    groups = data_groups(file)
    found = {path: group for path, group in groups.items() if not fault(group)}
    matches = [path for path in found if name in spellings(path)]
    if not matches:
        if faulty := [group for path, group in groups.items() if name in spellings(path)]:
            raise DataError(
                f"{file.filename}: behaviour series `{name}`, asked for by data.behavior, {fault(faulty[0])}; write the "
                "file again, or set data.behavior=null."
            )
        names = sorted({path.split("/")[-1] for path in found})
        raise DataError(
            f"{file.filename}: there is no behaviour series `{name}`, asked for by data.behavior; {choices(name, names)}."
        )
    if len(matches) > 1:
        raise DataError(f"{file.filename}: several series are called `{name}`; give one path as data.behavior: {matches}.")
    return as_series(found[matches[0]])


def data_groups(file: h5py.File) -> dict[str, h5py.Group]:
    """All groups that hold a dataset `data`, by their paths."""
    found = {}
    for place in PLACES:
        if (group := group_in(file, place)) is not None:
            visit(group, lambda _, item: found.update({item.name.strip("/"): item}) if has_data(item) else None)
    return found


def has_data(item: Any) -> bool:
    return isinstance(item, h5py.Group) and dataset_in(item, "data") is not None


def fault(group: h5py.Group) -> str:
    """Why a group with data is no numeric time series; empty where it is one."""
    data, timestamps, clock = (dataset_in(group, name) for name in ("data", "timestamps", "starting_time"))
    if data is None or data.ndim not in (1, 2) or data.dtype.kind not in "biuf":
        return "holds no numbers (sample,) or (sample, channel)"
    if timestamps is not None:
        numeric = timestamps.ndim == 1 and timestamps.dtype.kind in "iuf"
        return "" if numeric else "has timestamps that are no list of numbers"
    if clock is None:
        return "has neither timestamps nor a starting_time"
    if not np.isfinite(number(read(clock))):
        return "has a starting_time that is no number"
    return "" if 0 < rate_of(group) < np.inf else "has no timestamps, and a starting_time whose rate is no positive number"


def rate_of(group: h5py.Group) -> float:
    """Sampling rate in Hz that a series states beside its starting time; NaN where it states none."""
    clock = dataset_in(group, "starting_time")
    return np.nan if clock is None else number(attribute(clock, "rate"))


def number(value: Any) -> float:
    """A single number, NaN for whatever is none."""
    array = np.asarray(value)
    return float(array.reshape(())) if array.size == 1 and array.dtype.kind in "iuf" else np.nan


def spellings(path: str) -> set[str]:
    """Names under which the series at `path` may be asked for."""
    parts = path.split("/")
    return {path, parts[-1], "_".join(parts[-2:])}


def as_series(group: h5py.Group) -> Series:
    data, timestamps = dataset_in(group, "data"), dataset_in(group, "timestamps")
    clock = dataset_in(group, "starting_time")
    assert data is not None  # by `fault`
    name = str(group.name).split("/")[-1]
    if timestamps is not None and len(timestamps) != len(data):
        raise DataError(
            f"{group.file.filename}: series `{name}` has {len(data)} samples but {len(timestamps)} timestamps; "
            "write the file again."
        )
    start_s = 0.0 if clock is None else number(read(clock))
    width = data.shape[1] if data.ndim > 1 else 1
    return Series(name, data, timestamps, start_s, rate_of(group), channel_names(group, width))


def channel_names(group: h5py.Group, width: int) -> tuple[str, ...]:
    """Names from NLB's comment `columns=[x,y]`, or numbers where there is none."""
    comments = text_attribute(group, "comments")
    if "columns=[" in comments:
        names = tuple(n.strip() for n in comments.split("columns=[")[1].split("]")[0].split(","))
        if len(names) == width:
            return names
    return tuple(f"{i:04d}" for i in range(width))
