"""Access to an NWB file through h5py alone: trials, units and time series, each read only when asked for."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import h5py
import numpy as np

from neuralsde.errors import DataError

ROWS_AT_ONCE = 1 << 17  # rows of a time series held in memory at a time


def read(dataset: h5py.Dataset, selection=()) -> np.ndarray:
    """The selected part of a dataset.

    Raises:
        DataError: the bytes cannot be read, since the file is cut short or damaged.
    """
    try:
        return np.asarray(dataset[selection])
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(
            f"{dataset.file.filename}: `{dataset.name}` cannot be read, the file is damaged ({one_line(error)}); "
            "fetch it again."
        ) from error


def one_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def choices(name: str, names: list[str]) -> str:
    """The end of a sentence about a name that is not there: what was perhaps meant, and what there is."""
    close = get_close_matches(name, names, n=1)
    meant = f"did you mean `{close[0]}`? " if close else ""
    return f"{meant}there are: {', '.join(names) or 'none'}"


class Table:
    """A table of an NWB file, read column by column.

    Args:
        group: the HDF5 group that holds one dataset per column.
        what: what to call it in an error, such as `trials`.
    """

    def __init__(self, group: h5py.Group, what: str):
        self._group, self.what, self.path = group, what, group.file.filename

    @property
    def columns(self) -> list[str]:
        """Names of the columns, `id` aside."""
        return sorted(n for n, item in self._group.items() if isinstance(item, h5py.Dataset) and self._is_column(n))

    def _is_column(self, name: str) -> bool:
        return name != "id" and not name.endswith("_index")

    def __contains__(self, name: str) -> bool:
        return isinstance(self._group.get(name), h5py.Dataset)

    def __len__(self) -> int:
        return len(self._group["id"]) if "id" in self else 0

    def dataset(self, name: str, setting: str = "") -> h5py.Dataset:
        """The dataset of a column; `setting` is the data setting that asked for it, named in the error.

        Raises:
            DataError: there is no such column.
        """
        if name not in self:
            asked = f", asked for by data.{setting}" if setting else ""
            raise DataError(
                f"{self.path}: the {self.what} table has no column `{name}`{asked}; {choices(name, self.columns)}."
            )
        return self._group[name]

    def column(self, name: str, setting: str = "") -> np.ndarray:
        """One value per row, (row,); bytes come as text.

        Raises:
            DataError: there is no such column, or it holds several values per row.
        """
        dataset = self.dataset(name, setting)
        if dataset.ndim != 1 or f"{name}_index" in self:
            raise DataError(f"{self.path}: column `{name}` of the {self.what} table holds lists; name another one.")
        values = read(dataset)
        return values.astype(np.str_) if values.dtype.kind in "OS" and is_text(dataset) else values

    def column_ends(self, name: str) -> np.ndarray:
        """Where each row's list ends in an indexed column, (row,)."""
        return read(self.dataset(f"{name}_index")).astype(np.int64)

    def rows(self, name: str, index: int) -> np.ndarray:
        """The list that row `index` holds in an indexed column."""
        ends = read(self.dataset(f"{name}_index"), slice(max(index - 1, 0), index + 1)).astype(np.int64)
        start = 0 if index == 0 else ends[0]
        return read(self.dataset(name), slice(start, ends[-1]))


def is_text(dataset: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(dataset.dtype) is not None


@dataclass(frozen=True)
class Series:
    """A time series of an NWB file, still on disk.

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

    def blocks(self):
        """Times (sample,) and values (sample, channel), a block of rows at a time."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, len(self))
            values = read(self.data, slice(start, stop)).astype(np.float64)
            yield self.times(start, stop), values.reshape(stop - start, -1)


class Recording:
    """An NWB file that is open for reading; use it in a `with` statement.

    Raises:
        DataError: no such file, no HDF5 file, a truncated one, or one without trials or without units.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        try:
            self.trials = self._table("intervals/trials", "trials")
            self.units = self._table("units", "units")
            for column in ("spike_times", "spike_times_index"):
                self.units.dataset(column)
        except DataError:
            self.close()
            raise

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _table(self, name: str, what: str) -> Table:
        group = self._file.get(name)
        if not isinstance(group, h5py.Group) or not len(table := Table(group, what)):
            raise DataError(
                f"{self.path}: holds no {what} (`{name}` is missing or empty), so there is nothing to train on; "
                "give an NWB file with a trials table and sorted units."
            )
        return table

    def series(self, name: str) -> Series:
        """The time series called `name`, by its own name, `Container_name`, or its path in the file.

        Raises:
            DataError: there is no such series, or several.
        """
        found = self._series_groups()
        matches = [path for path in found if name in spellings(path)]
        if not matches:
            raise DataError(
                f"{self.path}: there is no behaviour series `{name}`, asked for by data.behavior; "
                f"{choices(name, sorted({path.split('/')[-1] for path in found}))}."
            )
        if len(matches) > 1:
            raise DataError(f"{self.path}: several series are called `{name}`; give one by its path: {matches}.")
        return as_series(found[matches[0]])

    def _series_groups(self) -> dict[str, h5py.Group]:
        found = {}

        def note(path: str, item) -> None:
            if isinstance(item, h5py.Group) and "data" in item and ("timestamps" in item or "starting_time" in item):
                found[path] = item

        for part in ("processing", "acquisition"):
            if isinstance(group := self._file.get(part), h5py.Group):
                group.visititems(lambda path, item, part=part: note(f"{part}/{path}", item))
        return found


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises:
        DataError: it does not exist, is no HDF5 file, or is cut short.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; check data.path.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "truncated" in str(error):
            raise DataError(f"{path}: the file is cut short ({one_line(error)}); fetch it again.") from error
        raise DataError(f"{path}: this is no HDF5 (NWB) file ({one_line(error)}); give an .nwb file.") from error


def spellings(path: str) -> set[str]:
    """Names under which the series at `path` may be asked for."""
    parts = path.split("/")
    return {path, parts[-1], "_".join(parts[-2:])}


def as_series(group: h5py.Group) -> Series:
    data, timestamps = group["data"], group.get("timestamps")
    clock = group.get("starting_time")
    start_s = float(clock[()]) if clock is not None else 0.0
    rate_hz = float(clock.attrs.get("rate", 0.0)) if clock is not None else 0.0
    name = group.name.split("/")[-1]
    width = data.shape[1] if data.ndim > 1 else 1
    return Series(name, data, timestamps, start_s, rate_hz, channel_names(group, width))


def channel_names(group: h5py.Group, width: int) -> tuple[str, ...]:
    """Names from NLB's comment `columns=[x,y]`, or numbers where there is none."""
    comments = group.attrs.get("comments", "")
    comments = comments.decode() if isinstance(comments, bytes) else str(comments)
    if "columns=[" in comments:
        names = tuple(n.strip() for n in comments.split("columns=[")[1].split("]")[0].split(","))
        if len(names) == width:
            return names
    return tuple(f"{i:04d}" for i in range(width))
