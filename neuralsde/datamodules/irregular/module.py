"""The Lightning datamodule of irregular series: what a reader hands on becomes trials with time stamps of their own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neuralsde.datamodules.batches import FreshTrials, TrialDataModule
from neuralsde.datamodules.irregular.ahead import elapsed_ahead, in_rounds, real_rows, unit_at, usual_ahead
from neuralsde.datamodules.irregular.assemble import inside, last_known_rows, last_rows
from neuralsde.datamodules.irregular.baselines.known import channel_means
from neuralsde.datamodules.irregular.checks import checked_choice, checked_share
from neuralsde.datamodules.irregular.dates import dated
from neuralsde.datamodules.irregular.learned import Learned
from neuralsde.datamodules.irregular.residual import PREDICTORS
from neuralsde.datamodules.irregular.scaling import fit_scale, seen_rows
from neuralsde.datamodules.irregular.series import AbstractReader, SeriesData, SeriesSet
from neuralsde.datamodules.irregular.table import TableSeries
from neuralsde.datamodules.lorenz import at_least
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials, TrivialPrediction
from neuralsde.errors import ConfigError, warn

CALIBRATION_CUTS = 8
"""Random ends of each validation series that intervals of forecasts are calibrated on beside the last one."""
LEAST_STEP = 1e-3
"""Least time between rows, in median steps: in the rows that pad a series next to nothing happens, and times increase."""
TASKS = ("classification", "interpolation", "forecast")
KEPT = (
    "channel_names", "class_names", "time_unit", "zone", "dated", "observed", "step", "least", "units", "levels", "means",
    "static",
)  # fmt: skip
"""Attributes that are kept as they are in what a datamodule has learned."""
DEFAULT = {"classification": None, "interpolation": "linear", "forecast": "persistence"}


class SeriesDataModule(TrialDataModule):
    """Series with gaps, for one of three tasks.

    * `classification`: one class per series, to be told at its last row.
    * `interpolation`: the values that are hidden from the model, at the rows' own times.
    * `forecast`: the values at later times.

    A model is given values standardised by the training series, and static columns as channels that are observed in the first
    row. Where there is a `residual` it predicts what a trivial predictor leaves over, in units of that rest's root mean square
    in the training series, channel by channel and, for a forecast, step by step: it starts out as that predictor. Scores and
    predictions are in the reader's own units.

    Args:
        reader: reads the series.
        task: see above.
        name: of the data.
        batch_size: series per training batch.
        seed: seed of the order of the series.
        eval_batch_size: series per batch when predicting.
        phase: the split that is scored: `val` or `test`; of the other one the rows are counted and no value is looked at.
        residual: `persistence` or `linear`; `default` is that of the task (interpolation: linear, forecast: persistence,
            classification: none); None predicts the values themselves.
        common_scale: measure what is predicted in one unit for all channels and steps, so that squared errors weigh as they do
            in the reader's own units.
        standardise: give the model values of mean 0 and standard deviation 1; otherwise values as the reader gives them.
        learn_kept: for interpolation, learn from and score the values that the model sees as well.
        extrapolate: forecast at the later times themselves; otherwise at as many last rows of the window, as the published
            stable neural SDEs do.
        batch_share: in place of `batch_size`, the largest power of two from 16 to 128 that is at most this share of all series
            (published for the archives: a half).
        last_rows: keep so many last rows of each series, those back to the last known value of each channel too, and forget
            those before: fewer for a model to run through, where what was long ago tells little. None keeps all.
        units_ahead: of a forecast's errors: those of the `row` ahead, or those of the `time` ahead, which lie between those of
            the rows that are usually before and after it, linear in their logarithms, so that what is told of any time goes
            on without a jump. The same where all series have one step.
        calibrate: after training, fit how wide intervals are by split conformal prediction on the validation series.

    Raises:
        ConfigError: an impossible setting, or series that lack what the task asks for.
    """

    def __init__(
        self,
        reader: AbstractReader,
        task: str,
        name: str,
        batch_size: int,
        seed: int = 0,
        eval_batch_size: int = 256,
        phase: str = "val",
        residual: str | None = None,
        common_scale: bool = False,
        standardise: bool = True,
        learn_kept: bool = False,
        extrapolate: bool = True,
        batch_share: float | None = None,
        last_rows: int | None = None,
        units_ahead: str = "row",
        calibrate: bool = False,
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        self.task = checked_choice("task", task, TASKS, "data")
        self.phase = checked_choice("phase", phase, ("val", "test"), "data")
        residual = DEFAULT[task] if residual == "default" else residual
        self.residual = None if residual is None else checked_choice("residual", residual, (*PREDICTORS, "default"), "data")
        switches = {
            "common_scale": common_scale,
            "standardise": standardise,
            "learn_kept": learn_kept,
            "extrapolate": extrapolate,
            "calibrate": calibrate,
        }
        for key, value in switches.items():
            if type(value) is not bool:
                raise ConfigError(f"data.{key} is {value}; give true or false.")
        if task == "classification" and residual is not None:
            raise ConfigError(f"data.residual is {residual}, but classes have no trivial predictor to add to; set it to null.")
        self.reader, self.data_name, self.common_scale, self.standardise = reader, name, common_scale, standardise
        self.learn_kept, self.extrapolate = learn_kept, extrapolate and task == "forecast"
        self.batch_share = None if batch_share is None else checked_share("batch_share", batch_share)
        if last_rows is not None:
            at_least("last_rows", last_rows, 1)
        self.last_rows, self.calibrate = last_rows, calibrate and task != "classification"
        self.units_ahead = checked_choice("units_ahead", units_ahead, ("row", "time"), "data")
        self.kind = "category" if task == "classification" else "real"

    def files(self) -> list[Path]:
        return self.reader.files()

    def read(self) -> TrialData:
        series = self.reader.read()
        whole, self.validation = series.train, series.val
        series = replace(series, train=self.kept(series.train), val=self.kept(series.val), test=self.kept(series.test))
        train, scored = series.train, getattr(series, self.phase)
        for name, split in (("train", train), (self.phase, scored)):
            self.refuse_lacking(split, name)
        self.tell_of_constants(series, train)
        self.redrawn_from = whole if self.task == "forecast" else train  # rows before an earlier end are not yet forgotten
        self.source, self.step, self.time_unit = train, median_step(train), series.time_unit
        if self.batch_share is not None:
            n = len(train) + len(series.val) + len(series.test)
            self.batch_size = max([2**k for k in range(4, 8) if 2**k <= self.batch_share * n], default=16)
        longest = max(float(np.ptp(split.times, axis=1).max()) for split in (train, series.val, series.test))
        self.least = max(LEAST_STEP * self.step, 4 * np.finfo(np.float32).eps * longest)  # apart in single precision too
        self.observed = max(int(split.length.max()) for split in (train, series.val, series.test))
        self.levels = fit_scale(train.values[inside(train)], "z")
        self.units = self.levels if self.standardise else fit_scale(train.values[inside(train)], "none")
        self.static = None if train.static is None else fit_scale(train.static, "z")
        self.means = channel_means(train)
        self.channel_names, self.dated, self.zone = series.channel_names, train.origin is not None, series.zone
        self.class_names = series.class_names if self.task == "classification" else ()
        if self.task == "forecast":
            elapsed = elapsed_ahead(train)
            self.usual, self.nearest, self.reach = usual_ahead(train), float(np.nanmin(elapsed)), float(np.nanmax(elapsed))
        bare = self.trials(train)
        self.rest = self.rest_scale(bare)
        learned, evaluated = self.in_rest_units(bare, train), self.in_rest_units(self.trials(scored), scored)
        return TrialData(
            name=series.name,
            spec=self.sizes(series, learned.heldin.shape[2]),
            train=learned,
            eval=evaluated,
            condition_names=self.class_names,
            target_names=self.class_names or series.channel_names,
            time_unit=series.time_unit,
            zone=series.zone,
            source=series.source,
            trivial=self.trivial(bare, scored),
            deviations=self.deviations,
        )

    def learned(self) -> dict[str, Any]:
        if not isinstance(self.reader, TableSeries) or (self.task == "forecast" and not self.extrapolate):
            return {}
        _ = self.data
        ahead = self.usual if self.task == "forecast" else np.zeros(0)
        rest = None if self.rest is None else self.rest[self.observed - 1 : self.observed + len(ahead)]
        own = {name: getattr(self, name) for name in KEPT}
        times = {"usual": ahead, **{name: getattr(self, name) if len(ahead) else 0.0 for name in ("nearest", "reach")}}
        return Learned(**own, **times, fitted=self.reader.fitted, rest=rest).plain()

    def recall(self, learned: Learned) -> None:
        """Take what an earlier reading of the training series had learned, so that `new_trials` needs none of them."""
        assert isinstance(self.reader, TableSeries)
        for name in (*KEPT, "usual", "nearest", "reach"):
            setattr(self, name, getattr(learned, name))
        self.reader.fitted, self.rest = learned.fitted, None
        if learned.rest is not None:
            observed = np.repeat(learned.rest[:1], self.observed, 0)
            self.rest = np.concatenate([observed, learned.rest[1:]]).astype(np.float32)

    @property
    def deviations(self) -> np.ndarray | None:
        """Standard deviation of each channel in the training series, of a table's channels in units of their own."""
        own_units = isinstance(self.reader, TableSeries) and self.reader.scale == "none" and len(self.channel_names) > 1
        return self.levels.width if own_units and self.task != "classification" else None

    def kept(self, split: SeriesSet) -> SeriesSet:
        """The rows of each series that are not forgotten."""
        return split if self.last_rows is None else last_known_rows(split, self.last_rows)

    def refuse_lacking(self, split: SeriesSet, name: str) -> None:
        """Raises:
        ConfigError: the series lack what the task asks for.
        """
        needed = {"classification": split.labels, "interpolation": split.targets, "forecast": split.ahead}[self.task]
        if needed is None:
            raise ConfigError(
                f"data.task is {self.task}, but the {name} series of {self.data_name} hold nothing to predict for it; choose "
                "another task, or set data.reader.task to the same one."
            )
        if self.task != "interpolation" or self.learn_kept:
            return
        if not (np.isnan(split.values) & ~np.isnan(needed)).any():
            raise ConfigError(
                f"Not one value of the {name} series of {self.data_name} is hidden, so that there is nothing to predict: raise "
                "data.reader.hidden (data.reader.observed of PhysioNet: lower it), or set data.learn_kept=true."
            )

    def tell_of_constants(self, series: SeriesData, train: SeriesSet) -> None:
        """Warn of channels that are to be predicted and have one value in all training series."""
        if self.task == "classification":
            return
        known = seen_rows(train)
        for name, column in zip(series.channel_names, known.T, strict=True):
            values = column[~np.isnan(column)]
            if len(values) and (values == values[0]).all():
                warn(
                    f"Channel `{name}` of {self.data_name} is {values[0]:g} in all training series, and there is nothing to "
                    "predict of it: leave it out of data.reader.channels, as it makes scores of all channels look better."
                )

    def sizes(self, series: SeriesData, channels: int) -> DataSpec:
        """What a model that is given `channels` takes from the data, whichever phase is scored."""
        times = [self.row_times(split) for split in (series.train, series.val, series.test)]
        return DataSpec(
            observed_dim=channels,
            target_dim=1 if self.task == "classification" else len(series.channel_names),
            observed_bins=self.observed,
            forward_bins=max(t.shape[1] for t in times) - self.observed,
            bin_width_s=self.step,
            n_conditions=len(series.class_names) if self.task == "classification" else 0,
            kind=self.kind,
            n_classes=len(series.class_names) if self.task == "classification" else 0,
            longest_s=float(max(t.max() for t in times)),
            longest_gap_s=float(max(np.diff(t, axis=1).max(initial=0.0) for t in times)),
            predicts_inputs=False,
        )

    def trials(self, split: SeriesSet) -> Trials:
        """Trials whose targets are in the reader's units, beside what the trivial predictor says of them."""
        asked, times = self.asked_times(split), self.row_times(split)
        offset = None if self.residual is None else PREDICTORS[self.residual](split, asked, self.means).astype(np.float32)
        return Trials(
            heldin=self.inputs(split),
            times=times,
            trial_id=np.arange(len(split)),
            condition=split.labels if self.task == "classification" else None,
            targets=self.targets(split),
            offset=offset,
            shown=None if self.task == "classification" else padded_rows(split.values, times.shape[1]),
            rows=self.predicted_rows(split),
            names=split.names,
            stamps=self.stamps(split),
        )

    def predicted_rows(self, split: SeriesSet) -> np.ndarray:
        """The rows that a prediction is of, (series, row), bool: those of a series, or those ahead."""
        if split.ahead is None or split.ahead_times is None or self.task != "forecast":
            return np.arange(self.observed) < split.length[:, None]
        ahead = real_rows(split)
        before = np.zeros((len(split), self.observed - (0 if self.extrapolate else ahead.shape[1])), bool)
        return np.concatenate([before, ahead], 1)

    def stamps(self, split: SeriesSet) -> np.ndarray:
        """Times of the rows as the reader's file tells them, (series, row), float64 or datetime64."""
        times = np.pad(split.times, ((0, 0), (0, max(0, self.observed - split.times.shape[1]))), mode="edge")[
            :, : self.observed
        ]
        if self.task == "forecast" and split.ahead_times is not None:
            before = self.observed - (0 if self.extrapolate else split.ahead_times.shape[1])
            times = np.concatenate([times[:, :before], split.ahead_times], 1)
        return times if split.origin is None else dated(split.origin[:, None], times, self.time_unit)

    def new_trials(self, series: SeriesSet, asked: Sequence[np.ndarray]) -> Trials:
        """Trials of series that are in no split, of which nothing is known beside what a model may see.

        Args:
            series: of the reader's channels, with no more rows than the longest series of the data.
            asked: of a forecast the times to tell, of each series, increasing and after its last row; see `in_rounds`.
        """
        if self.task == "forecast":
            rounds = in_rounds(series, asked, self.usual)
            trials = self.trials(rounds.series)
            rows = np.concatenate([np.zeros((len(trials), self.observed), bool), rounds.asked], 1)
            return self.in_rest_units(replace(trials, rows=rows), rounds.series)
        if self.task == "interpolation":
            whole = replace(series, targets=series.values)
            return self.in_rest_units(self.trials(whole), whole)
        trials = self.trials(replace(series, labels=np.zeros(len(series), np.int64)))
        unknown = np.full((len(series), self.observed, 1), np.nan, np.float32)
        return replace(trials, condition=None, targets=unknown)

    def inputs(self, split: SeriesSet) -> np.ndarray:
        """What a model sees, (series, row, channel): scaled values, then static columns in the first row."""
        values = padded_rows(self.units(split.values), self.observed)
        if split.static is None or not split.static.shape[1]:
            return values
        static = np.full((*values.shape[:2], split.static.shape[1]), np.nan, np.float32)
        assert self.static is not None
        static[:, 0] = self.static(split.static)
        return np.concatenate([values, static], 2)

    def targets(self, split: SeriesSet) -> np.ndarray:
        """(series, row, target), float32, NaN where there is nothing to predict."""
        if split.ahead is not None and self.task == "forecast":
            rows = self.observed - (0 if self.extrapolate else split.ahead.shape[1])
            before = np.full((len(split), rows, split.ahead.shape[2]), np.nan, np.float32)
            return np.concatenate([before, split.ahead], 1)
        if split.targets is not None and self.task == "interpolation":
            hidden = np.isnan(split.values) | self.learn_kept
            return padded_rows(np.where(hidden, split.targets, np.float32(np.nan)), self.observed)
        assert split.labels is not None
        targets = np.full((len(split), self.observed, 1), np.nan, np.float32)
        targets[np.arange(len(split)), split.length - 1, 0] = split.labels
        return targets

    def padded_times(self, split: SeriesSet) -> np.ndarray:
        """Times of all rows and of those to forecast, (series, row), increasing in the padding too."""
        times = np.pad(split.times, ((0, 0), (0, max(0, self.observed - split.times.shape[1]))), mode="edge")
        if self.extrapolate and split.ahead_times is not None:
            times = np.concatenate([times[:, : self.observed], split.ahead_times], 1)
        least = self.least * np.arange(times.shape[1])
        return np.maximum.accumulate(times - least, axis=1) + least

    def row_times(self, split: SeriesSet) -> np.ndarray:
        """The same since each series' first row, (series, row), float32."""
        times = self.padded_times(split)
        return (times - times[:, :1]).astype(np.float32)

    def asked_times(self, split: SeriesSet) -> np.ndarray:
        """Times that the rows' targets are of, (series, row): in a forecast the last ones are ahead, wherever it is read."""
        times = self.padded_times(split)
        if self.task != "forecast" or self.extrapolate or split.ahead_times is None:
            return times
        return np.concatenate([times[:, : -split.ahead_times.shape[1]], split.ahead_times], 1)

    def rest_scale(self, train: Trials) -> np.ndarray | None:
        """Root mean square of what is to be predicted in the training series, (row, target); None of classes."""
        if self.task == "classification" or train.targets is None:
            return None
        rest = (train.targets if train.offset is None else train.targets - train.offset).astype(np.float64)
        if self.common_scale:
            return np.full(rest.shape[1:], root_mean_square(rest, None), np.float32)
        scale = self.error_size(rest) if train.offset is not None else self.channel_size(rest)
        return np.where(scale > 0, scale, 1.0).astype(np.float32)

    def error_size(self, errors: np.ndarray) -> np.ndarray:
        """Root mean square of predictions' errors channel by channel, of forecasts step by step too, (row, target)."""
        whole = self.channel_size(errors)
        if self.task != "forecast":
            return whole
        own = root_mean_square(errors, (0,))
        return np.where(own > 0, own, whole)

    def channel_size(self, values: np.ndarray) -> np.ndarray:
        """Root mean square channel by channel, (row, target)."""
        return np.broadcast_to(root_mean_square(values, (0, 1)), values.shape[1:]).copy()

    def in_rest_units(self, trials: Trials, split: SeriesSet) -> Trials:
        """The trials of `split` with targets as a model learns them."""
        if self.rest is None or trials.targets is None:
            return trials
        offset, scale = trials.offset, np.broadcast_to(self.rest, trials.targets.shape)
        if self.units_ahead == "time" and self.extrapolate:
            ahead = unit_at(elapsed_ahead(split), self.usual, self.rest[self.observed :])
            scale = np.concatenate([scale[:, : self.observed], ahead], 1)
        if offset is None:  # the values themselves, in the units of the inputs
            offset = np.broadcast_to(self.units.centre.astype(np.float32), trials.targets.shape)
            scale = np.broadcast_to(self.units.width.astype(np.float32), trials.targets.shape)
        return replace(trials, targets=(trials.targets - offset) / scale, offset=offset, scale=scale)

    def trivial(self, train: Trials, scored: SeriesSet) -> dict[str, TrivialPrediction]:
        """What predictors without parameters say of the rows to predict, as sure of it as the training series allow; none of
        classes."""
        if self.task == "classification" or train.targets is None:
            return {}
        learned, asked = self.said(self.source), self.said(scored)
        stds = {name: self.error_size(train.targets.astype(np.float64) - mean) for name, mean in learned.items()}
        return {name: TrivialPrediction(mean, np.where(stds[name] > 0, stds[name], 1.0)) for name, mean in asked.items()}

    def said(self, split: SeriesSet) -> dict[str, np.ndarray]:
        """Means of the predictors without parameters, (series, row, target), by name."""
        asked = self.asked_times(split)
        own = [] if self.residual is None else [self.residual]
        names = dict.fromkeys(["persistence", *own] if self.task == "forecast" else PREDICTORS)  # ahead, lines are flat
        found = {name: PREDICTORS[name](split, asked, self.means) for name in names}
        return found | {"training_mean": np.broadcast_to(self.means, found["persistence"].shape)}

    def fresh_trials(self) -> FreshTrials | None:
        spec = self.spec  # reads the series
        if self.reader.redraw(self.redrawn_from[:1], 0) is None:
            return None
        return FreshTrials(self.redrawn, spec, len(self.source))

    def redrawn(self, numbers: Sequence[int]) -> Trials:
        """Training trials by number: those of the first epoch in an order of its own, then those of the second, …

        For interpolation they end with the last row of the longest series of their batch: no model computes more padding.
        """
        epoch, batch = numbers[0] // len(self.source), numbers[0] % len(self.source) // self.batch_size
        order = batches_alike(self.source.length, self.batch_size, (self.seed, epoch))
        trials = self.redrawn_trials(self.redrawn_from[order[np.asarray(numbers) % len(self.source)]], epoch)
        if self.task != "interpolation":
            return trials
        longest = self.source.length[order[batch * self.batch_size :][: self.batch_size]].max()
        names = ("heldin", "times", "targets", "offset", "scale", "shown", "rows", "stamps")
        by_row = {name: getattr(trials, name) for name in names}
        return replace(trials, **{name: None if value is None else value[:, :longest] for name, value in by_row.items()})

    def redrawn_trials(self, series: SeriesSet, epoch: int) -> Trials:
        """Trials of series as the reader draws them anew for an epoch."""
        again = self.reader.redraw(series, epoch)
        assert again is not None
        if self.task == "forecast":
            again = last_rows(self.kept(again), self.observed)
        return self.in_rest_units(self.trials(again), again)

    def calibration_trials(self) -> list[Trials]:
        """Of forecasts that are learned after random rows the same of the validation series: nine series' last rows are few."""
        ends = super().calibration_trials()
        if self.task != "forecast" or self.fresh_trials() is None:
            return ends
        return told_once([*ends, *(self.redrawn_trials(self.validation, epoch) for epoch in range(CALIBRATION_CUTS))])


def told_once(parts: list[Trials]) -> list[Trials]:
    """Forecasts of the same series after several cuts, each value the target of the first of them that asks for it alone: being
    told of again makes it no further evidence."""
    told: set[tuple[str, Any]] = set()
    left = []
    for trials in parts:
        assert trials.names is not None
        assert trials.stamps is not None
        assert trials.rows is not None
        assert trials.targets is not None
        rows = zip(trials.names.tolist(), trials.stamps.tolist(), trials.rows.tolist(), strict=True)
        cells = [[(name, t) if own else None for t, own in zip(times, at, strict=True)] for name, times, at in rows]
        again = np.array([[cell in told for cell in row] for row in cells])
        left.append(replace(trials, targets=np.where(again[..., None], np.nan, trials.targets).astype(np.float32)))
        told |= {cell for row in cells for cell in row if cell is not None}
    return left


POOL = 8
"""Batches whose series are sorted by length among themselves."""


def batches_alike(length: np.ndarray, batch_size: int, seed: tuple[int, int]) -> np.ndarray:
    """A random order of series, in which the series of a batch are about as long as each other.

    Args:
        length: of each series, (series,).
        batch_size: series per batch.
        seed: of the order.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(length))
    whole = len(order) // batch_size * batch_size  # the last batch, which is not whole, stays the last
    pools = [order[k : min(k + POOL * batch_size, whole)] for k in range(0, whole, POOL * batch_size)]
    alike = np.concatenate([pool[np.argsort(length[pool], kind="stable")] for pool in pools] or [order[:0]])
    return np.concatenate([rng.permutation(alike.reshape(-1, batch_size)).ravel(), order[whole:]])


def root_mean_square(values: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    """Over the known values along `axes`; 0 where none is known."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0) ** 2
    return np.asarray(np.sqrt(total.sum(axes) / np.maximum(known.sum(axes), 1)))


def padded_rows(values: np.ndarray, rows: int) -> np.ndarray:
    """As many rows, (series, row, channel), with NaN below."""
    missing = max(0, rows - values.shape[1])
    return np.pad(values[:, :rows], ((0, 0), (0, missing), (0, 0)), constant_values=np.nan)


def median_step(series: SeriesSet) -> float:
    """Median time between neighbouring rows; 1 where there are none."""
    steps = np.diff(series.times, axis=1)[inside(series)[:, 1:]]
    return float(np.median(steps)) if len(steps) else 1.0
