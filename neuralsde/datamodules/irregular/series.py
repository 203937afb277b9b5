"""What every reader of irregular series hands on: padded series with time stamps of their own, and three splits of them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class SeriesSet:
    """Series as arrays, padded to the longest. NaN marks what was not observed; nothing is filled in.

    Args:
        times: time of each row, (series, row), float64, increasing within `length`; the padding repeats the last time.
        values: what a model may see, (series, row, channel), float32; NaN in the padding.
        length: rows of each series, (series,), int64.
        names: the name of each series in its file, (series,), str: what an error and a prediction file call it.
        static: what does not change with time, (series, static), float32; NaN where unknown.
        labels: class of each series, an index into the classes, (series,), int64.
        targets: what is to be predicted at the rows, (series, row, channel), float32: for interpolation, with the values
            that `values` hides.
        ahead_times: times to forecast, (series, ahead), float64, after the series' last.
        ahead: values there, (series, ahead, channel), float32.
        origin: date of time 0 of each series, (series,), datetime64, where times were dates.
    """

    times: np.ndarray
    values: np.ndarray
    length: np.ndarray
    names: np.ndarray
    static: np.ndarray | None = None
    labels: np.ndarray | None = None
    targets: np.ndarray | None = None
    ahead_times: np.ndarray | None = None
    ahead: np.ndarray | None = None
    origin: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: np.ndarray | slice) -> "SeriesSet":
        """The series at `index` (indices, a boolean mask or a slice)."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: value[index] for name, value in kept.items() if value is not None})


@dataclass(frozen=True)
class SeriesData:
    """A collection of series, split.

    Args:
        name: of the collection, such as `mujoco` or `BasicMotions`.
        train: to fit on.
        val: to select on.
        test: to score once.
        channel_names: one per channel.
        class_names: one per class, in the order of the labels' indices; empty without classes.
        static_names: one per static column.
        time_unit: of `times`, such as `h` or `step`.
        source: where the data came from, one line for the run's record.
        zone: offset from UTC that dates are told in, such as `+00:00`; empty where none was given.
    """

    name: str
    train: SeriesSet
    val: SeriesSet
    test: SeriesSet
    channel_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    static_names: tuple[str, ...] = ()
    time_unit: str = "s"
    source: str = ""
    zone: str = ""


class AbstractReader(ABC):
    """Reads a collection of series."""

    @abstractmethod
    def read(self) -> SeriesData:
        """Read the series.

        Raises:
            DataError: a file is missing, damaged, or does not hold what was asked of it.
        """

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that are read, for their checksums in the run's record."""

    def redraw(self, series: SeriesSet, epoch: int) -> SeriesSet | None:
        """The same training series with other values hidden, in each epoch its own; None where nothing is redrawn."""
        return None
