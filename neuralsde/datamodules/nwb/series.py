"""Time series of an NWB file: found by name, read a block of rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np

from neuralsde.datamodules.nwb.hdf5 import choices, dataset_in, group_in, read, text_attribute
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
        DataError: there is no such series, or several.
    """
    found = series_groups(file)
    matches = [path for path in found if name in spellings(path)]
    if not matches:
        names = sorted({path.split("/")[-1] for path in found})
        raise DataError(
            f"{file.filename}: there is no behaviour series `{name}`, asked for by data.behavior; {choices(name, names)}."
        )
    if len(matches) > 1:
        raise DataError(f"{file.filename}: several series are called `{name}`; give one path as data.behavior: {matches}.")
    return as_series(found[matches[0]])


def series_groups(file: h5py.File) -> dict[str, h5py.Group]:
    """All groups that are numeric time series, by their paths."""
    found = {}
    for place in PLACES:
        if (group := group_in(file, place)) is not None:
            group.visititems(lambda _, item: found.update({item.name.strip("/"): item}) if is_series(item) else None)
    return found


def is_series(item: h5py.Group | h5py.Dataset) -> bool:
    if not isinstance(item, h5py.Group) or (data := dataset_in(item, "data")) is None:
        return False
    timed = dataset_in(item, "timestamps") is not None or rate_of(item) > 0
    return timed and data.ndim in (1, 2) and data.dtype.kind in "biuf"


def rate_of(group: h5py.Group) -> float:
    """Sampling rate in Hz that a series states beside its starting time; 0 where it states none."""
    clock = dataset_in(group, "starting_time")
    return 0.0 if clock is None else float(clock.attrs.get("rate", 0.0))


def spellings(path: str) -> set[str]:
    """Names under which the series at `path` may be asked for."""
    parts = path.split("/")
    return {path, parts[-1], "_".join(parts[-2:])}


def as_series(group: h5py.Group) -> Series:
    data, timestamps = dataset_in(group, "data"), dataset_in(group, "timestamps")
    clock = dataset_in(group, "starting_time")
    assert data is not None  # by `is_series`
    name = str(group.name).split("/")[-1]
    if timestamps is not None and len(timestamps) != len(data):
        raise DataError(
            f"{group.file.filename}: series `{name}` has {len(data)} samples but {len(timestamps)} timestamps; "
            "write the file again."
        )
    start_s = 0.0 if clock is None else float(read(clock))
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
