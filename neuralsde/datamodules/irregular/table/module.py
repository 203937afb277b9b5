"""A user's own irregular series, from a CSV or Parquet file to three splits."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuralsde.datamodules.irregular.assemble import padded, trimmed
from neuralsde.datamodules.irregular.checks import checked_choice, checked_seed, checked_share, checked_shares
from neuralsde.datamodules.irregular.dates import SECONDS
from neuralsde.datamodules.irregular.scaling import KINDS, STATS, standardise
from neuralsde.datamodules.irregular.series import AbstractReader, SeriesData, SeriesSet
from neuralsde.datamodules.irregular.split import Split, class_codes, random_split, refuse_absent, stratified_split
from neuralsde.datamodules.irregular.table.cells import UNKNOWN, names_in, number_column
from neuralsde.datamodules.irregular.table.file import Table, read_table
from neuralsde.datamodules.irregular.table.grouped import (
    Grouped,
    constant_cells,
    group_series,
    tell_of_long_steps,
    tell_of_static_channels,
)
from neuralsde.datamodules.irregular.table.tasks import cut_anew, with_ahead, with_hidden
from neuralsde.datamodules.lorenz import above_zero, at_least
from neuralsde.errors import ConfigError, DataError, warn

TASKS = ("interpolation", "forecast", "classification")
WAYS = ("values", "points")
CUTS = ("last", "random")
ADVICE = {
    r" \(data\.reader\.[^)]*\)": "",
    r"; set data\.reader\.path to": "; give",
    r", and other columns out of data\.reader\.\w+": "",
    r", or set data\.reader\.check_spans=false": "",
    r"give \S*data\.reader\.separator=.* on the command line": "save it with the separator that the training table had",
}
"""What sentences about a training table say of settings, which nobody can set any more when another table is read."""


class TableSeries(AbstractReader):
    """Series in one table: a row for each time of each series, an empty cell for what is not known.

    Rows of one series follow each other in time; dates (ISO) become `time_unit` since the series' first row, numbers stay as
    they are. Nothing is filled in, sorted or dropped: what does not fit is refused with its line.

    Args:
        path: a .csv (or other text, see `separator`) or .parquet file.
        task: `interpolation` hides values, `forecast` cuts the end off, `classification` reads labels.
        series_column: which series a row belongs to.
        time_column: its time.
        channels: columns of values; None for all that are not named otherwise.
        static: columns with one number for each series.
        label_column: with one class for each series.
        split_column: with `train`, `val` or `test` for each series; None to draw a split.
        separator: between the cells of a text.
        time_unit: of the times; dates are turned into it: s, min, h or d.
        shares: of training, validation and test series, where the split is drawn (by class, for classification).
        seed: of the split and of what is hidden.
        hidden: share that is hidden, for interpolation.
        hide: `values` one by one, or `points`: whole times.
        ahead_rows: rows at each series' end to forecast.
        ahead_time: or all rows within this time of its last one.
        scale: `z`, `min_max` or `none`, of each channel.
        stats: what the scale looks at: `train`, or `all`.
        cuts: what training series are forecast after: the `last` row before what is to be forecast, as all others, or a
            `random` earlier one, in each epoch another: what follows earlier rows is then learned from too.
        check_spans: refuse a series a thousand times as long, or as short, as the others.

    Raises:
        ConfigError: a setting is impossible, or two do not fit each other.
    """

    def __init__(
        self,
        path: str | Path,
        task: str,
        series_column: str = "series",
        time_column: str = "time",
        channels: Sequence[str] | None = None,
        static: Sequence[str] = (),
        label_column: str | None = None,
        split_column: str | None = None,
        separator: str = ",",
        time_unit: str = "s",
        shares: Sequence[float] = (0.7, 0.15, 0.15),
        seed: int = 0,
        hidden: float = 0.3,
        hide: str = "values",
        ahead_rows: int | None = None,
        ahead_time: float | None = None,
        scale: str = "z",
        stats: str = "train",
        check_spans: bool = True,
        cuts: str = "last",
    ):
        self.path, self.task = Path(path).expanduser(), checked_choice("task", task, TASKS)
        self.series_column, self.time_column = series_column, time_column
        self.channels, self.static = None if channels is None else tuple(channels), tuple(static)
        self.label_column, self.split_column = label_column, split_column
        separator = "\t" if separator == "tab" else separator
        if len(separator) != 1:
            raise ConfigError(f"data.reader.separator is `{separator}`; give one character, or tab.")
        self.separator, self.time_unit = separator, checked_choice("time_unit", time_unit, tuple(SECONDS))
        self.shares, self.seed = checked_shares("shares", tuple(shares)), checked_seed("seed", seed)
        self.hidden, self.hide = checked_share("hidden", hidden), checked_choice("hide", hide, WAYS)
        self.ahead_rows, self.ahead_time, self.check_spans = ahead_rows, ahead_time, check_spans
        self.scale, self.stats = checked_choice("scale", scale, KINDS), checked_choice("stats", stats, STATS)
        self.cuts = checked_choice("cuts", cuts, CUTS)
        self._check_task()

    def _check_task(self) -> None:
        """Raises:
        ConfigError: the task lacks a setting.
        """
        if self.task == "classification" and self.label_column is None:
            raise ConfigError(
                "data.reader.task is classification, but data.reader.label_column is null; name the column of the classes."
            )
        if self.task != "forecast":
            return
        if (self.ahead_rows is None) == (self.ahead_time is None):
            raise ConfigError("data.reader.task is forecast; give one of data.reader.ahead_rows and data.reader.ahead_time.")
        if self.ahead_rows is not None:
            at_least("reader.ahead_rows", self.ahead_rows, 1)
        if self.ahead_time is not None:
            above_zero("reader.ahead_time", self.ahead_time)

    def files(self) -> list[Path]:
        return [self.path]

    def read(self) -> SeriesData:
        """Read, check, split, scale, and take away what is to be predicted.

        Raises:
            DataError: the file is missing or damaged, or does not hold what is asked of it; with the line, series and column.
        """
        table = read_table(self.path, self.separator)
        channels = self.channels or self._other_columns(table)
        found = group_series(table, self.series_column, self.time_column, channels, self.time_unit, self.check_spans)
        tell_of_long_steps(found, self.time_unit, table)
        tell_of_static_channels(found, channels, table)
        series, class_names = self._as_set(table, found)
        split = self._split(table, found, series, class_names)
        asked = self._asked(series)
        train, val, test = (trimmed(asked[index]) for index in split)
        self._refuse_unseen(train, channels)
        self.shortest = (int(train.length.min()) + 1) // 2  # so that series of one length too end in many places
        data = SeriesData(
            self.path.stem, train, val, test, tuple(channels), class_names, self.static, self.time_unit,
            f"{self.path.name}, {self.task}, scale {self.scale} of {self.stats} series, seed {self.seed}", found.zone,
        )  # fmt: skip
        scaled, self.fitted = standardise(data, self.scale, self.stats)
        return scaled

    def read_new(self, path: str | Path, channels: Sequence[str], are_dates: bool, zoned: bool) -> SeriesSet:
        """All series of another table with the same columns, labels and splits left out, in the table's own units.

        Args:
            path: of the other table.
            channels: that the model was trained on.
            are_dates: whether its times were dates.
            zoned: whether these had a zone.

        Raises:
            DataError: the table is missing or damaged, has other columns or other times, or a series does not hold one value.
        """
        try:
            return self._read_new(Path(path).expanduser(), channels, are_dates, zoned)
        except DataError as error:
            text = str(error)
            for advice, instead in ADVICE.items():
                text = re.sub(advice, instead, text)
            raise DataError(text) from error

    def _read_new(self, path: Path, channels: Sequence[str], are_dates: bool, zoned: bool) -> SeriesSet:
        table = read_table(path, self.separator)
        self._refuse_other_columns(table, channels)
        settings = self.time_unit, self.check_spans
        found = group_series(table, self.series_column, self.time_column, channels, *settings, least_rows=1, learn=False)
        if (found.origin is not None) != are_dates:
            now, then = ("dates", "numbers") if found.origin is not None else ("numbers", "dates")
            raise DataError(
                f"{table.path}: times in column `{self.time_column}` are {now}, but the model was trained on {then}; give them "
                "as they were."
            )
        if bool(found.zone) != zoned:
            now, then = ("no zone", "one") if zoned else ("a zone", "none")
            raise DataError(
                f"{table.path}: dates in column `{self.time_column}` have {now}, and those that the model was trained on had "
                f"{then}; give them as they were."
            )
        return self._with_static(table, found, padded(found.times, found.values, found.names, origin=found.origin))

    def _refuse_other_columns(self, table: Table, channels: Sequence[str]) -> None:
        """Raises:
        DataError: a channel is missing, or where all other columns are channels there is one more.
        """
        needed = self.series_column, self.time_column, *channels, *self.static
        if missing := [name for name in needed if name not in table.columns]:
            raise DataError(
                f"{table.path}: holds no column `{missing[0]}`, which the model was trained on; it reads {', '.join(needed)}."
            )
        further = [name for name in self._other_columns(table) if name not in channels]
        if self.channels is None and further:
            raise DataError(
                f"{table.path}: column `{further[0]}` is none that the model was trained on ({', '.join(channels)}); leave it "
                "out."
            )

    def redraw(self, series: SeriesSet, epoch: int) -> SeriesSet | None:
        if self.task == "interpolation":
            return with_hidden(series, self.hidden, self.hide, self.seed, epoch)
        if self.task == "forecast" and self.cuts == "random":
            return cut_anew(series, self.ahead_rows, self.ahead_time, self.shortest, self.seed, epoch)
        return None

    def _other_columns(self, table: Table) -> tuple[str, ...]:
        named = {self.series_column, self.time_column, self.label_column, self.split_column, *self.static}
        left = tuple(name for name in table.columns if name not in named)
        if not left:
            raise DataError(
                f"{self.path}: holds no column of values beside {', '.join(table.columns)}; set data.reader.channels."
            )
        return left

    def _as_set(self, table: Table, found: Grouped) -> tuple[SeriesSet, tuple[str, ...]]:
        """All series as one set, and the classes."""
        series = self._with_static(table, found, padded(found.times, found.values, found.names, origin=found.origin))
        if self.label_column is None:
            return series, ()
        cells = names_in(table.column(self.label_column, "label_column"))
        labels = constant_cells(table, found, self.label_column, "label_column", cells).tolist()
        if nameless := [name for name, label in zip(found.names, labels, strict=True) if label in UNKNOWN]:
            raise DataError(
                f"{self.path}: series `{nameless[0]}` has no class in column `{self.label_column}`; each needs one."
            )
        codes, class_names = class_codes(labels)
        return replace(series, labels=codes), class_names

    def _with_static(self, table: Table, found: Grouped, series: SeriesSet) -> SeriesSet:
        """The set with the columns that do not change with time."""
        if not self.static:
            return series
        columns = [constant_cells(table, found, n, "static", number_column(table, n, "static")) for n in self.static]
        for name, cells in zip(self.static, columns, strict=True):
            if len(empty := [series for series, cell in zip(found.names, cells, strict=True) if np.isnan(cell)]):
                warn(
                    f"{table.path}: column `{name}` is empty for {len(empty)} of {len(cells)} series (first `{empty[0]}`); the "
                    "model is told that it is not known."
                )
        return replace(series, static=np.stack(columns, -1).astype(np.float32))

    def _split(self, table: Table, found: Grouped, series: SeriesSet, class_names: tuple[str, ...]) -> Split:
        """Which series are for what."""
        what = str(self.path)
        if self.split_column is None:
            if self.task == "classification" and series.labels is not None:
                return stratified_split(series.labels, class_names, self.shares, self.seed, what=what)
            return random_split(len(series), self.shares, self.seed, what)
        cells = names_in(table.column(self.split_column, "split_column"))
        part = constant_cells(table, found, self.split_column, "split_column", cells)
        other = ~np.isin(part, Split._fields)
        if other.any():
            name = found.names[int(np.argmax(other))]
            raise DataError(
                f"{what}: series `{name}` has `{part[other][0]}` in column `{self.split_column}`; give train, val or test."
            )
        split = Split(*(np.flatnonzero(part == name) for name in Split._fields))
        if empty := [name for name, index in split._asdict().items() if not len(index)]:
            raise DataError(f"{what}: no series has `{empty[0]}` in column `{self.split_column}`; give some of each part.")
        if series.labels is not None:
            refuse_absent(series.labels, split.train, class_names, what)
        return split

    def _asked(self, series: SeriesSet) -> SeriesSet:
        """The set with what is to be predicted taken away."""
        if self.task == "forecast":
            return with_ahead(series, self.ahead_rows, self.ahead_time, self.path)
        return with_hidden(series, self.hidden, self.hide, self.seed) if self.task == "interpolation" else series

    def _refuse_unseen(self, train: SeriesSet, channels: Sequence[str]) -> None:
        """Raises:
        DataError: a channel has no known value in the training series.
        """
        unseen = np.isnan(train.values).all((0, 1))
        if unseen.any():
            name = channels[int(np.argmax(unseen))]
            raise DataError(f"{self.path}: not one value of column `{name}` is known in the training series; leave it out.")
