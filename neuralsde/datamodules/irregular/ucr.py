"""Classified series of the UCR and UEA archives, with values taken away: the protocol of the stable neural SDE papers."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from neuralsde.datamodules.irregular.archive import Case, archive_files, read_archive_file
from neuralsde.datamodules.irregular.assemble import padded, trimmed, without_empty_rows
from neuralsde.datamodules.irregular.checks import checked_choice, checked_seed, checked_share
from neuralsde.datamodules.irregular.extras import extra_module
from neuralsde.datamodules.irregular.missing import OPERATORS
from neuralsde.datamodules.irregular.series import AbstractReader, SeriesData, SeriesSet
from neuralsde.datamodules.irregular.split import class_codes, stratified_split
from neuralsde.errors import ConfigError, DataError

BUNDLED = ("ArrowHead", "BasicMotions", "GunPoint", "JapaneseVowels")
"""Sets that come with aeon (extra `irregular`)."""
SHARES = (0.7, 0.15, 0.15)
PARTS = ("TRAIN", "TEST")


class UCRArchive(AbstractReader):
    """One set of the archives: its training and test parts merged, split 70/15/15 by class, values dropped in all of it.

    Times are the numbers of the steps, from 0, unless the file has times.

    Args:
        name: of the set, such as `Libras`.
        path: folder with the set's files, or with a subfolder `name` of them; None for a set that comes with aeon.
        missing_rate: share of the values that are dropped: int(length · rate) of each series.
        operator: `shared` drops whole time points (ICLR 2024), `per_channel` those of each channel on its own (later code).
        seed: of the split and of what is dropped; the papers' five runs are 0 to 4.
        lengths: `ragged` keeps each series as long as it is; `interpolated` brings all to the longest, as the papers do.
        keep_empty_rows: keep the steps at which nothing is left as rows of NaN, as the papers' grid has them.

    Raises:
        ConfigError: a setting is impossible, or there is no `path` and no such set with aeon.
    """

    def __init__(
        self,
        name: str,
        path: str | Path | None = None,
        missing_rate: float = 0.0,
        operator: str = "shared",
        seed: int = 0,
        lengths: str = "ragged",
        keep_empty_rows: bool = False,
    ):
        self.name, self.path = name, None if path is None else Path(path).expanduser()
        self.missing_rate = checked_share("missing_rate", missing_rate)
        self.operator = checked_choice("operator", operator, tuple(OPERATORS))
        self.seed = checked_seed("seed", seed)
        self.lengths = checked_choice("lengths", lengths, ("ragged", "interpolated"))
        self.keep_empty_rows = keep_empty_rows
        if path is None and name not in BUNDLED:
            raise ConfigError(
                f"data.reader.name is {name}, which does not come with aeon ({', '.join(BUNDLED)} do); set data.reader.path "
                "to its folder."
            )

    def files(self) -> list[Path]:
        return [] if self.path is None else archive_files(self.path, self.name)

    def read(self) -> SeriesData:
        """Read, split, and drop.

        Raises:
            DataError: the files are missing or damaged, or a class is too small to be in each part.
        """
        named = bundled_cases(self.name) if self.path is None else file_cases(self.files())
        series, class_names = as_set(named, self.name)
        if self.lengths == "interpolated":
            series = interpolated(series)
        assert series.labels is not None
        split = stratified_split(series.labels, class_names, SHARES, self.seed, what=self.name)
        kept = OPERATORS[self.operator](series.length, series.values.shape[2], self.missing_rate, self.seed)
        series = replace(series, values=np.where(kept, series.values, np.float32(np.nan)))
        if not self.keep_empty_rows:
            series = without_empty_rows(series)
        train, val, test = (trimmed(series[index]) for index in split)
        n_channels = series.values.shape[2]
        return SeriesData(
            self.name, train, val, test,
            channel_names=tuple(f"channel {k}" for k in range(n_channels)) if n_channels > 1 else ("value",),
            class_names=class_names, time_unit="step", source=self._source(),
        )  # fmt: skip

    def _source(self) -> str:
        files = [f.name for f in self.files()] or [f"aeon {version('aeon')}"]
        dropped = f"{self.missing_rate:g} dropped ({self.operator})"
        return f"{', '.join(files)}, split and values with seed {self.seed}, {dropped}, lengths {self.lengths}"


def file_cases(files: list[Path]) -> list[tuple[str, Case]]:
    """Series of all files with a name each, such as `TEST 12`."""
    parts = PARTS if len(files) == len(PARTS) else ("series",)
    return [
        (f"{part} {k}", case) for part, path in zip(parts, files, strict=True) for k, case in enumerate(read_archive_file(path))
    ]


def bundled_cases(name: str) -> list[tuple[str, Case]]:
    """Series of a set that comes with aeon.

    Raises:
        ConfigError: aeon is not installed.
    """
    datasets = extra_module("aeon.datasets", "irregular", f"data.reader.name={name} without data.reader.path")
    named = []
    for part in PARTS:
        values, labels = datasets.load_classification(name, split=part.lower(), load_equal_length=False)
        named += [(f"{part} {k}", Case(x.T, str(y))) for k, (x, y) in enumerate(zip(values, labels, strict=True))]
    return named


def as_set(named: list[tuple[str, Case]], what: str) -> tuple[SeriesSet, tuple[str, ...]]:
    """Cases as one set, and the names of the classes.

    Raises:
        DataError: series differ in their number of channels.
    """
    n_channels = named[0][1].values.shape[1]
    for name, case in named:
        if case.values.shape[1] != n_channels:
            raise DataError(f"{what}: series `{name}` has {case.values.shape[1]} channels, but the first has {n_channels}.")
    codes, class_names = class_codes([case.label for _, case in named])
    times = [np.arange(len(case.values)) if case.times is None else case.times for _, case in named]
    return padded(times, [case.values for _, case in named], [name for name, _ in named], labels=codes), class_names


def interpolated(series: SeriesSet) -> SeriesSet:
    """All series brought to the length of the longest, as the papers do: np.interp(arange(L), linspace(0, L, length), x)."""
    longest = int(series.length.max())
    values = np.empty_like(series.values)
    for out, x, n in zip(values, series.values, series.length.tolist(), strict=True):
        for channel in range(x.shape[1]):
            out[:, channel] = np.interp(np.arange(longest), np.linspace(0, longest, n), x[:n, channel])
    times = np.tile(np.arange(longest, dtype=np.float64), (len(series), 1))
    return replace(series, values=values, times=times, length=np.full(len(series), longest, np.int64))
