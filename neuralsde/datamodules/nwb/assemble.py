"""From an open recording and a recipe to tensors."""

from dataclasses import dataclass, field, replace

import numpy as np

from neuralsde.datamodules.nwb import binning, windows
from neuralsde.datamodules.nwb.hdf5 import choices
from neuralsde.datamodules.nwb.reader import Recording
from neuralsde.datamodules.nwb.recipe import Recipe
from neuralsde.datamodules.nwb.selection import UnitGroups
from neuralsde.datamodules.nwb.series import Series
from neuralsde.datamodules.nwb.table import Table
from neuralsde.datamodules.nwb.windows import MISSING, NS_PER_MS, Windows
from neuralsde.datamodules.trials import Trials
from neuralsde.errors import DataError


@dataclass
class Cutter:
    """Cuts trials out of one recording.

    Args:
        recording: an open file.
        recipe: what to cut.
        units: rows of its held-in and held-out units.
    """

    recording: Recording
    recipe: Recipe
    units: UnitGroups
    table: Table = field(init=False)
    grid: binning.SpikeGrid = field(init=False)

    def __post_init__(self):
        self.table = self.recording.trials
        stop = self.table.numbers("stop_time")
        last_stop = float(np.max(stop, where=np.isfinite(stop), initial=0.0))
        self.grid = binning.SpikeGrid(self.recording.units, last_stop, self.recipe.bin_ms)

    def time_ns(self, name: str, setting: str = "") -> np.ndarray:
        """A column of times in nanoseconds, (trial,)."""
        return windows.to_ns(self.table.numbers(name, setting))

    def bounds(self, kept: np.ndarray, start_ns: np.ndarray) -> np.ndarray:
        """Where each window of the trials `kept` must end at the latest."""
        following = np.append(self.time_ns("start_time")[1:], MISSING)
        return windows.bounds(start_ns, following[kept])

    def around(self, kept: np.ndarray, align_ns: np.ndarray, low: int, high: int, overlap: bool) -> Windows:
        """Windows from `low` to `high` ms around the alignment times."""
        start = align_ns + low * NS_PER_MS
        bound = None if overlap else self.bounds(kept, start)
        bin_ms = self.recipe.bin_ms
        return windows.cut(start, align_ns + high * NS_PER_MS, bin_ms, (high - low) // bin_ms, bound)

    def jitter(self, kept: np.ndarray) -> np.ndarray | None:
        """Bins by which each trial's window is shifted, (trial,); None where the recipe has no jitter.

        Test trials, and trials of a file that lacks the column, are not shifted.
        """
        recipe = self.recipe
        if not recipe.jitter_max_ms or not recipe.jitter_column:
            return None
        if recipe.jitter_column not in self.table:
            return np.zeros(len(kept), np.int64)
        low, high = recipe.window_ms
        duration = self.table.numbers(recipe.jitter_column, "jitter_column")[kept]
        return windows.draw_jitter(np.clip(high - low - duration, 0, recipe.jitter_max_ms), recipe.bin_ms)

    def trials(self, kept: np.ndarray, scored: bool) -> Trials:
        """The trials at `kept` (rows of the trials table, ascending).

        Args:
            kept: trials to cut.
            scored: whether they are scored, so that held-out counts outside the scored part of a window are NaN.
        """
        recipe, heldout = self.recipe, self.units.heldout
        jitter = self.jitter(kept)
        shift_ns = 0 if jitter is None else jitter * recipe.bin_ms * NS_PER_MS
        align = self.time_ns(recipe.align, "align")[kept] + shift_ns
        low, high = recipe.window_ms
        observed = self.around(kept, align, low, high, recipe.overlap)
        ahead = self.around(kept, align, high, high + recipe.forward_ms, overlap=True)
        has_ahead = recipe.forward_bins > 0 and len(heldout) > 0
        trials = Trials(
            heldin=self.grid.counts(self.units.heldin, observed),
            heldout=self.grid.counts(heldout, observed) if len(heldout) else None,
            heldin_forward=self.grid.counts(self.units.heldin, ahead) if has_ahead else None,
            heldout_forward=self.grid.counts(heldout, ahead) if has_ahead else None,
            jitter=jitter,
            decode_mask=self.decode_mask(kept),
            trial_id=self.table.numbers("id").astype(np.int64)[kept],
        )
        if scored and recipe.target_start and trials.heldout is not None:
            trials.heldout[~self.in_target(kept, observed)] = np.nan
        return trials

    def in_target(self, kept: np.ndarray, observed: Windows) -> np.ndarray:
        """Which bins of the windows lie between `target_start` and the unshifted alignment time, (trial, bin)."""
        recipe = self.recipe
        start = self.time_ns(recipe.target_start or "", "target_start")[kept]
        target = windows.cut(start, self.time_ns(recipe.align)[kept], recipe.bin_ms)
        bins = observed.bins()
        return (bins >= target.first[:, None]) & (bins < (target.first + target.count)[:, None])

    def decode_mask(self, kept: np.ndarray) -> np.ndarray | None:
        """Trials of each behaviour decoder, one per value of the column, ascending: (trial, decoder), bool."""
        name = self.recipe.decode_mask_column
        if not name or (name not in self.table and not len(self.units.heldout)):
            return None
        column = self.table.column(name, "decode_mask_column")
        return column[kept][:, None] == np.unique(column[~is_missing(column)])

    def with_behavior(self, trials: Trials, kept: np.ndarray) -> Trials:
        """`trials` with their behaviour, where the recipe asks for any.

        Raises:
            DataError: the series, a channel or a column is missing, or behaviour is unknown throughout.
        """
        recipe = self.recipe
        if recipe.behavior:
            values = self.series_behavior(kept)
        elif recipe.trial_behavior:
            values = self.trial_behavior(kept)
        else:
            return trials
        if np.isnan(values).all():
            raise DataError(
                f"{self.recording.path}: behaviour {recipe.behavior or list(recipe.trial_behavior)} is NaN in all of "
                f"{len(kept)} trials' windows; check data.window_ms and data.behavior_lag_ms, or set it to null."
            )
        self.check_channels(values)
        return replace(trials, behavior=values)

    def check_channels(self, values: np.ndarray) -> None:
        """Raises:
        DataError: a channel, the last axis, is unknown throughout.
        """
        recipe = self.recipe
        unknown = np.all(np.isnan(values).reshape(-1, values.shape[-1]), axis=0).tolist()
        if not any(unknown):
            return
        names = self.behavior_names()
        lost = ", ".join(f"`{name}`" for name, gone in zip(names, unknown, strict=True) if gone)
        left = [name for name, gone in zip(names, unknown, strict=True) if not gone]
        of, key = (f" of `{recipe.behavior}`", "behavior_channels") if recipe.behavior else ("", "trial_behavior")
        raise DataError(
            f"{self.recording.path}: behaviour {lost}{of} is NaN in all of {len(values)} trials' windows; leave it out "
            f"with data.{key}=[{','.join(left)}]."
        )

    def behavior_names(self) -> tuple[str, ...]:
        """Names of the behaviour channels, or of the trial columns that stand for them."""
        recipe = self.recipe
        if recipe.behavior:
            return tuple(name for name, _ in self.channels(self.recording.series(recipe.behavior)))
        return tuple(str(name) for name in recipe.trial_behavior)

    def series_behavior(self, kept: np.ndarray) -> np.ndarray:
        recipe = self.recipe
        series = self.recording.series(recipe.behavior or "")
        low, high = (edge + recipe.behavior_lag_ms for edge in recipe.window_ms)
        lagged = self.around(kept, self.time_ns(recipe.align, "align")[kept], low, high, recipe.overlap)
        channels = [index for _, index in self.channels(series)]
        return binning.behavior(series, channels, self.grid.length_ms, recipe.bin_ms, lagged)

    def channels(self, series: Series) -> list[tuple[str, int]]:
        """Names and columns of the wanted channels; all of them, by name, where none are named.

        Raises:
            DataError: a wanted channel is not there.
        """
        wanted = self.recipe.behavior_channels
        if wanted is None:
            return sorted((name, index) for index, name in enumerate(series.channels))
        number = {name: index for index, name in enumerate(series.channels)}
        found = []
        for name in wanted:
            index = name if isinstance(name, int) else number.get(name, -1)
            if not 0 <= index < len(series.channels):
                raise DataError(
                    f"{self.recording.path}: behaviour series `{series.name}` has no channel `{name}`; "
                    f"{choices(str(name), list(series.channels))}."
                )
            found.append((series.channels[index], index))
        return found

    def trial_behavior(self, kept: np.ndarray) -> np.ndarray:
        """One row per trial, (trial, column), float32; NaN in outliers."""
        columns = [self.table.numbers(name, "trial_behavior")[kept] for name in self.recipe.trial_behavior]
        values = np.stack(columns, axis=1).astype(np.float32)
        values[self.outlier()[kept]] = np.nan
        return values

    def outlier(self) -> np.ndarray:
        """Trials marked as outliers, (trial,), bool."""
        if not self.recipe.outlier_column:
            return np.zeros(len(self.table), bool)
        return self.table.numbers(self.recipe.outlier_column, "outlier_column") != 0


def is_missing(column: np.ndarray) -> np.ndarray:
    """Which rows of a column of any type state nothing (NaN)."""
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)
