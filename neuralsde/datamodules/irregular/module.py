"""The Lightning datamodule of irregular series: what a reader hands on becomes trials with time stamps of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuralsde.datamodules.batches import FreshTrials, TrialDataModule
from neuralsde.datamodules.irregular.residual import PREDICTORS
from neuralsde.datamodules.irregular.series import AbstractReader, SeriesData, SeriesSet
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import ConfigError

PAD = 1e-3
"""Time between padded rows, in median steps: next to nothing happens there, and times still increase."""
TASKS = ("classification", "interpolation", "forecast")


@dataclass(frozen=True)
class Units:
    """Channel by channel, what values are measured from and in.

    Args:
        centre: (channel,).
        scale: (channel,), positive.
    """

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Units":
        """Mean and standard deviation over the observed values; 0 and 1 of a channel that never varies."""
        known = (~np.isnan(values)).sum((0, 1))
        centre = np.nansum(values, (0, 1), dtype=np.float64) / np.maximum(known, 1)
        variance = np.nansum((values - centre) ** 2, (0, 1)) / np.maximum(known, 1)
        return cls(centre, np.where(variance > 1e-12, np.sqrt(variance), 1.0))

    def apply(self, values: np.ndarray) -> np.ndarray:
        return ((values - self.centre) / self.scale).astype(np.float32)


class SeriesDataModule(TrialDataModule):
    """Series with gaps, for one of three tasks.

    * `classification`: one class per series, to be told at its last row.
    * `interpolation`: the values that are hidden from the model, at the rows' own times.
    * `forecast`: the values at later times.

    Values are standardised by the training series (`standardise`), and where there is a `residual` a model predicts what a
    trivial predictor leaves over, in units of that rest's standard deviation in the training series, channel by channel and,
    for a forecast, step by step: it starts out as that predictor. Scores and predictions are in the data's own units.

    Args:
        reader: reads the series.
        task: see above.
        name: of the data.
        batch_size: series per training batch.
        seed: seed of the order of the series.
        eval_batch_size: series per batch when predicting.
        phase: the split that is scored: `val` or `test`; the other one is not looked at.
        residual: `persistence` or `linear`; None predicts the values themselves.
        standardise: give the model values of mean 0 and standard deviation 1; otherwise raw ones.
        learn_kept: for interpolation, learn from and score the values that the model sees as well.
        common_scale: measure the rest of all channels and steps in one unit, so that squared errors weigh as they do in the
            data's own units.
        extrapolate: forecast at the later times themselves; otherwise at as many last rows of the window, as the published
            stable neural SDEs do.

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
        standardise: bool = True,
        learn_kept: bool = False,
        extrapolate: bool = True,
        common_scale: bool = False,
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        for key, value, known in (
            ("task", task, TASKS),
            ("phase", phase, ("val", "test")),
            ("residual", residual, (None, *PREDICTORS)),
            ("standardise", standardise, (True, False)),
            ("learn_kept", learn_kept, (True, False)),
            ("extrapolate", extrapolate, (True, False)),
            ("common_scale", common_scale, (True, False)),
        ):
            if value not in known:
                choices = ", ".join("null" if k is None else str(k).lower() for k in known)
                raise ConfigError(f"data.{key} is {value}; choose one of {choices}.")
        if task == "classification" and residual is not None:
            raise ConfigError(f"data.residual is {residual}, but classes have no trivial predictor to add to; set it to null.")
        self.reader, self.task, self.data_name, self.phase = reader, task, name, phase
        self.residual, self.standardise, self.learn_kept = residual, standardise, learn_kept
        self.common_scale = common_scale
        self.extrapolate = extrapolate and task == "forecast"
        self.kind = "category" if task == "classification" else "real"

    def files(self) -> list[Path]:
        return self.reader.files()

    def read(self) -> TrialData:
        series = self.reader.read()
        splits = {"train": series.train, "eval": getattr(series, self.phase)}
        for name, split in splits.items():
            self.refuse_lacking(split, self.phase if name == "eval" else "train")
        self.units = Units.of(series.train.values) if self.standardise else None
        bins = {name: self.rows_of(split) for name, split in splits.items()}
        self.total, self.observed = (max(pair) for pair in zip(*bins.values(), strict=True))
        self.step = median_step(series.train)
        bare = {name: self.trials(split) for name, split in splits.items()}
        self.rest = self.rest_scale(bare["train"])
        self.sources = series.train
        made = {name: self.in_rest_units(trials) for name, trials in bare.items()}
        return TrialData(
            name=series.name,
            spec=self.sizes(series, list(made.values())),
            train=made["train"],
            eval=made["eval"],
            source=series.source,
            trivial=self.trivial(splits["train"], splits["eval"]),
        )

    def trivial(self, train: SeriesSet, scored: SeriesSet) -> dict[str, np.ndarray]:
        """What predictors without parameters say of the rows to predict; none of classes."""
        if self.task == "classification":
            return {}
        times, values = self.padded_times(scored), padded_rows(scored.values, self.observed)
        found = {name: predict(times[:, : self.observed], values, times) for name, predict in PREDICTORS.items()}
        mean = np.broadcast_to(Units.of(train.values).centre.astype(np.float32), found["linear"].shape)
        return found | {"training_mean": mean}

    def refuse_lacking(self, split: SeriesSet, name: str) -> None:
        """Raises:
        ConfigError: the series lack what the task asks for.
        """
        needed = {"classification": split.labels, "interpolation": split.targets, "forecast": split.ahead}[self.task]
        if needed is None:
            raise ConfigError(
                f"data.task is {self.task}, but the {name} series of {self.data_name} hold nothing to predict for it; choose "
                "another task, or give the reader what it needs."
            )

    def rows_of(self, split: SeriesSet) -> tuple[int, int]:
        """Rows of the longest series with and without those to forecast."""
        observed = int(split.length.max())
        return observed + (split.ahead.shape[1] if self.extrapolate and split.ahead is not None else 0), observed

    def sizes(self, series: SeriesData, splits: Sequence[Trials]) -> DataSpec:
        """What a model takes from the data."""
        times = [trials.times for trials in splits if trials.times is not None]
        channels = len(series.channel_names)
        classes = len(series.class_names) if self.task == "classification" else 0
        return DataSpec(
            observed_dim=channels,
            target_dim=1 if self.task == "classification" else channels,
            observed_bins=self.observed,
            forward_bins=self.total - self.observed,
            bin_width_s=self.step,
            kind=self.kind,
            n_classes=classes,
            longest_s=float(max(t.max() for t in times)),
            longest_gap_s=float(max(np.diff(t, axis=1).max(initial=0.0) for t in times)),
            predicts_inputs=False,
        )

    def trials(self, split: SeriesSet) -> Trials:
        """Trials whose targets are in the data's own units, beside what the trivial predictor says of them."""
        times = self.padded_times(split)
        values = padded_rows(split.values, self.observed)
        offset, targets = None, self.targets_of(split)
        if self.residual is not None:
            offset = PREDICTORS[self.residual](times[:, : self.observed], values, times)
        return Trials(
            heldin=values if self.units is None else self.units.apply(values),
            times=times.astype(np.float32),
            trial_id=np.arange(len(split)),
            condition=split.labels,
            targets=targets,
            offset=offset,
        )

    def targets_of(self, split: SeriesSet) -> np.ndarray:
        """(series, row, target), float32, NaN where there is nothing to predict."""
        if self.task == "classification":
            targets = np.full((len(split), self.total, 1), np.nan, np.float32)
            assert split.labels is not None
            targets[np.arange(len(split)), split.length - 1, 0] = split.labels
            return targets
        if self.task == "forecast":
            assert split.ahead is not None
            before = np.full((len(split), self.total - split.ahead.shape[1], split.ahead.shape[2]), np.nan, np.float32)
            return np.concatenate([before, split.ahead], 1)
        assert split.targets is not None
        hidden = split.targets if self.learn_kept else np.where(np.isnan(split.values), split.targets, np.float32(np.nan))
        return padded_rows(hidden, self.total)

    def padded_times(self, split: SeriesSet) -> np.ndarray:
        """Times since the first row, (series, row), increasing in the padding too."""
        times = padded_rows(split.times[..., None], self.observed)[..., 0]
        rows = np.arange(self.observed)
        last = np.take_along_axis(times, split.length[:, None] - 1, axis=1)
        beyond = rows - (split.length[:, None] - 1)
        times = np.where(beyond > 0, last + beyond * PAD * self.step, times)
        if self.extrapolate:
            assert split.ahead_times is not None
            times = np.concatenate([times, split.ahead_times], 1)
        return times - times[:, :1]

    def rest_scale(self, train: Trials) -> np.ndarray | None:
        """Standard deviation of what is to be predicted in the training series, (row, target); None of classes."""
        if self.task == "classification" or train.targets is None:
            return None
        rest = train.targets if train.offset is None else train.targets - train.offset
        if self.common_scale:
            return np.full(rest.shape[1:], np.sqrt(np.nanmean(rest.astype(np.float64) ** 2)), np.float32)
        pooled = np.sqrt(np.nanmean(rest.reshape(-1, rest.shape[2]).astype(np.float64) ** 2, axis=0).clip(1e-12))
        scale = np.broadcast_to(pooled, rest.shape[1:]).copy()
        if self.task == "forecast" and train.offset is not None:
            asked = ~np.isnan(rest).all((0, 2))
            scale[asked] = np.sqrt((rest[:, asked].astype(np.float64) ** 2).mean(0).clip(1e-12))
        return scale.astype(np.float32)

    def in_rest_units(self, trials: Trials) -> Trials:
        """The same trials with targets as a model learns them."""
        if self.rest is None or trials.targets is None:
            return trials
        rest = trials.targets if trials.offset is None else trials.targets - trials.offset
        if trials.offset is None and self.units is not None:  # the values themselves, standardised
            centre = np.broadcast_to(self.units.centre.astype(np.float32), rest.shape)
            scale = np.broadcast_to(self.units.scale.astype(np.float32), rest.shape)
            return replace(trials, targets=(rest - centre) / scale, offset=centre, scale=scale)
        if trials.offset is None:
            return trials
        return replace(trials, targets=rest / self.rest, scale=np.broadcast_to(self.rest, rest.shape))

    def fresh_trials(self) -> FreshTrials | None:
        spec = self.spec  # reads the series
        if self.reader.redraw(self.sources[:1], 0) is None:
            return None
        return FreshTrials(self.redrawn, spec, len(self.sources))

    def redrawn(self, numbers: Sequence[int]) -> Trials:
        """Training trials by number: those of the first epoch in an order of its own, then those of the second, …"""
        n = len(self.sources)
        epoch = numbers[0] // n
        order = np.random.default_rng((self.seed, epoch)).permutation(n)
        again = self.reader.redraw(self.sources[order[np.asarray(numbers) % n]], epoch)
        assert again is not None
        return self.in_rest_units(self.trials(again))


def padded_rows(values: np.ndarray, rows: int) -> np.ndarray:
    """As many rows, (series, row, channel), with NaN below."""
    missing = rows - values.shape[1]
    if missing <= 0:
        return values[:, :rows]
    return np.pad(values, ((0, 0), (0, missing), (0, 0)), constant_values=np.nan)


def median_step(series: SeriesSet) -> float:
    """Median time between neighbouring rows."""
    rows = np.arange(series.times.shape[1] - 1)
    inside = rows < series.length[:, None] - 1
    return float(np.median(np.diff(series.times, axis=1)[inside])) if inside.any() else 1.0
