"""A checkpoint becomes a model and its data again."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from neuralsde.analysis.decode import Activity, Decoding, decode
from neuralsde.analysis.dynamics import Dynamics, dynamics_of
from neuralsde.analysis.psth import PSTH, psth
from neuralsde.analysis.smoothed import decode_smoothed
from neuralsde.analysis.targets import target_of
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.checksums import sha256_of
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.evaluation.artifact import PREFIX, fetch
from neuralsde.evaluation.calibration import Calibration
from neuralsde.evaluation.predict import Prediction, forecast, generate, predict
from neuralsde.training.allocation import AllocationLimit
from neuralsde.training.build import instantiate_part
from neuralsde.training.checkpoint import checkpoint_in, load_weights, read_checkpoint
from neuralsde.training.fit import build_module
from neuralsde.training.module import LatentDynamics
from neuralsde.training.run_record import read_record
from neuralsde.training.sizes import other_sizes
from neuralsde.training.targets import refuse_foreign_targets

PHASES = ("val", "test")


@dataclass(frozen=True)
class Run:
    """A trained model and how it was made.

    Args:
        module: the model, in evaluation mode.
        config: the run's resolved config.
        path: the checkpoint's file.
        files: name and SHA-256 of each file that it was trained on; empty where that is not known.
        moved: whether other files were named since.
        learned: what predictions of other tables need of the training series; empty in checkpoints of earlier versions.
        calibration: how much wider intervals are than the model says; None for not at all.
    """

    module: LatentDynamics
    config: DictConfig
    path: Path
    files: frozenset[tuple[str, str]] = frozenset()
    moved: bool = False
    learned: dict[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None

    @property
    def unread(self) -> TrialDataModule:
        """The same data as `datamodule`, of which nothing has been read."""
        return instantiate_part(self.config, "data")

    @cached_property
    def datamodule(self) -> TrialDataModule:
        """The data that the model was trained on, read at first use.

        Raises:
            CheckpointError: they have other sizes now, or a file of theirs has changed, so that trials that were learned from
                may be among those to score.
            DataError: a file is missing or damaged, or lacks what was asked for.
        """
        datamodule = self.unread
        then, found = other_sizes(self.module.spec, datamodule.spec)
        if found:
            raise CheckpointError(
                f"{self.path} was trained on {then}, but its data now read as {found}: point load(..., data={{'path': …}}) "
                "at the original recording."
            )
        if not self.moved:
            self.refuse_changed(datamodule.files())
        return datamodule

    def refuse_changed(self, files: Sequence[Path], by_name: bool = True) -> None:
        """Compare files with those that the model was trained on, as far as these are known; by default those of the same name.

        Raises:
            CheckpointError: one has changed.
        """
        names, digests = ({pair[k] for pair in self.files} for k in (0, 1))
        for file in files if self.files else []:
            if (file.name in names or not by_name) and sha256_of(file) not in digests:
                raise CheckpointError(
                    f"{file} is not what {self.path} was trained on, or has changed since, so that what it learned from may be "
                    "among what is scored, and what scales its inputs differs: name the old file (data.path)."
                )

    @property
    def data(self) -> TrialData:
        """The recording: `run.data.eval.behavior`, `run.data.condition_names`, …"""
        return self.datamodule.data

    def with_data(self, **settings: Any) -> "Run":
        """The same model with other settings of its data, such as `path=` or `behavior=`."""
        moved = self.moved or bool({"path", "reader"} & settings.keys())
        return replace(self, config=with_data(self.config, settings), moved=moved)

    def split(self, name: str) -> Trials:
        """Trials of the split `train`, `eval`, or of one of the recording's extra ones; of data that are scored in phases those
        of `val` or `test` too.

        Raises:
            ConfigError: there is no such split.
        """
        splits = {"train": self.data.train, "eval": self.data.eval, **self.data.extra}
        phases = PHASES if "phase" in self.config.data else ()
        if name in phases and name not in splits:
            return self.with_data(phase=name).data.eval
        if name not in splits:
            known = ", ".join(dict.fromkeys((*splits, *phases)))
            raise ConfigError(f"There is no split {name!r} of {self.data.name}; choose one of {known}.")
        return splits[name]

    def predict(self, trials: Trials | str = "eval", **settings: Any) -> Prediction:
        """Rates and latents of `trials`, with the run's own prediction settings.

        Args:
            trials: the name of a split (`train`, `eval`, `val`, `test`, or an extra one), or trials with the model's units and
                bins.
            settings: arguments of `neuralsde.evaluation.predict` that replace the run's, such as `n_samples=1000`,
                `interval=0.9`, `quantiles=(0.05, 0.5, 0.95)`, `average="median"` or `label="…"` for a progress bar.

        Intervals and quantiles are as wide as the run's `calibration` asks for; `dataclasses.replace(run, calibration=None)`
        predicts as the model does.
        """
        own = {key: value for key, value in self.config.predict.items() if key != "weights"}
        chosen = {**own, **settings}
        return self._named(lambda trials: self.calibrated(partial(predict, self.module, trials), **chosen), trials)

    def calibrated(self, said: Callable[..., Prediction], **settings: Any) -> Prediction:
        """What `said` says with these settings, with intervals as wide as the run's calibration asks for: around the mean,
        whatever average is told."""
        plain = said(**settings)
        if self.calibration is None or not (plain.quantiles or plain.lower is not None):
            return plain
        about = plain if settings.get("average", "rate") == "rate" else said(**{**settings, "average": "rate", "label": ""})
        return replace(self.calibration.widened(about), rates=plain.rates)

    def predict_series(
        self,
        path: str | Path,
        horizon: float | int | None = None,
        every: float | int | None = None,
        times: Sequence[float | int | str] = (),
        **settings: Any,
    ) -> Prediction:
        """What the model says of series in another table with the same columns; `.to_table()` has a line for each value, with
        mean, median and the ends of the interval, in the table's own units and times.

        Intervals and quantiles are of observations: of the paths and of the noise around them. The training table is not
        needed. Noise depends on the seed and a series' name, so that what is told of one does not change with the others.

        * Forecasts: times ahead are those of `times`, or from `every` to `horizon` after each series' last row that holds a
          value, or those of the rows without values at a series' end, or else the usual ones of training.
        * Hidden values: every empty cell is filled in, also those of rows that were added without values.
        * Classes: the probability of each, for each series.

        Args:
            path: a .csv or .parquet file like the one that the model was trained on; labels and splits are not needed.
            horizon: how far to forecast, in the unit of time; at most twice as far as in training.
            every: step of the forecast; the usual one of the training series where not given.
            times: to forecast, as the table tells them: numbers or ISO dates.
            settings: as of `predict`, by default `n_samples=1000` and `interval=0.9`.

        Raises:
            ConfigError: a setting is impossible, or does not fit the model's task.
            DataError: the table lacks a channel, has times of another kind or unit, or does not fit in another way.
        """
        from neuralsde.evaluation.new_series import predict_series

        return predict_series(self, path, horizon, every, times, **settings)

    def read_series(self, path: str | Path) -> dict[str, np.ndarray]:
        """Columns `series`, `time`, `channel` and `value` of all known values of a table like the one that the model was
        trained on; errors as `predict_series`."""
        from neuralsde.evaluation.new_series import read_series

        return read_series(self, path)

    def forecast(self, ahead: int, trials: Trials | str = "eval", **settings: Any) -> Prediction:
        """What follows the observed bins of `trials`, by the prior.

        Args:
            ahead: bins beyond the observed ones.
            trials: the name of a split, or trials with the model's units and bins.
            settings: arguments of `neuralsde.evaluation.predict.forecast`, such as `interval=0.9`.
        """
        own = {key: self.config.predict[key] for key in ("n_samples", "average", "seed")}
        return self._named(lambda chosen: forecast(self.module, chosen, ahead, **{**own, **settings}), trials)

    def _named(self, predict: Callable[[Trials], Prediction], trials: Trials | str) -> Prediction:
        """The prediction of `trials`, with the data's names where they are a split of the run's own data."""
        if isinstance(trials, Trials):
            return predict(trials)
        return predict(self.split(trials)).named_by(self.data)

    def decode(
        self,
        target: str = "behavior",
        source: str = "rates",
        decoder: str = "ridge",
        lags_ms: Sequence[float | int] = (0,),
        folds: int = 5,
        kind: str | None = None,
        seed: int = 0,
        compare: bool = True,
        **settings: Any,
    ) -> Decoding:
        """Behaviour of the evaluation trials, by a decoder fitted to the training trials; beside it the same from smoothed
        spikes. What is chosen is chosen by leaving out training trials.

        Args:
            target: `behavior` for the one that the data hold, one of its channels, another series of the file (such as
                `hand_pos`, which is read for it), or `condition`.
            source: `rates`, `latents` or `smoothed`.
            decoder: `ridge` or `gru`; conditions are decoded by logistic regression.
            lags_ms: times by which activity precedes behaviour, such as (0, 40, 80), all read at once.
            folds: parts of the training trials that are left out in turn.
            kind: `values`, `angle` (a direction, or an angle in radians), `trial` (a column of the trials table, one value
                per trial) or `condition`; None for what the target suggests.
            seed: of the folds, and of a GRU.
            compare: whether smoothed spikes are decoded too.
            settings: as of `predict`.

        Raises:
            ConfigError: a setting is impossible.
            DataError: the data have no such behaviour.
        """
        run = self._with_behavior(target, kind)
        data, common = run.data, (decoder, tuple(lags_ms), folds, seed)
        goal = target_of(data, target, kind)
        if source == "smoothed":
            return decode_smoothed(data, goal, *common)
        found = decode(run._activity(source, settings), goal, data.spec, source, *common)
        return replace(found, compared=decode_smoothed(data, goal, *common)) if compare else found

    def _activity(self, source: str, settings: dict[str, Any]) -> Activity:
        """Rates or latents of the observed bins of training and evaluation trials."""
        if source not in ("rates", "latents"):
            raise ConfigError(f"decode got source={source!r}; give rates, latents or smoothed.")
        bins = slice(None, self.data.spec.observed_bins)
        return Activity(*(getattr(self.predict(name, **settings), source)[:, bins] for name in ("train", "eval")))

    def _with_behavior(self, target: str, kind: str | None) -> "Run":
        """The same model, with data that hold the behaviour `target`."""
        held = self.config.data.get("behavior")
        if target in ("condition", "behavior", held) or "behavior" not in self.config.data:
            return self
        if target in self.data.behavior_names:
            return self
        if kind == "trial":
            return self.with_data(behavior=None, trial_behavior=[target])
        return self.with_data(behavior=target, behavior_channels=None, trial_behavior=[])

    def psth(self, trials: str = "eval", kernel_ms: float = 0.0, **settings: Any) -> PSTH:
        """Condition averages of the model and of the data, with numbers of trials and standard errors.

        Args:
            trials: the name of a split.
            kernel_ms: standard deviation of the Gaussian that smooths the data, trial by trial; 0 for none.
            settings: as of `predict`.

        Raises:
            DataError: the trials have no conditions.
        """
        return psth(self.data, self.split(trials), self.predict(trials, **settings).rates, kernel_ms)

    def dynamics(self, at_s: float | int | None = None, seeds: int = 200, seed: int = 0, **settings: Any) -> Dynamics:
        """What the model's prior does without noise: fixed points, flow field, learned parameters.

        Args:
            at_s: time since the trial's start at which an equation that changes with time is held, in seconds.
            seeds: visited states from which fixed points are looked for.
            seed: of the choice of those states.
            settings: as of `predict`.

        Raises:
            ConfigError: the model has no drift, or one that changes with time and `at_s` is None.
        """
        return dynamics_of(self.module.model.dynamics, self.predict("eval", **settings), at_s, seeds, seed)

    def generate(self, n: int, bins: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Trials drawn from the prior: observations, expected values, latents; see `neuralsde.evaluation.predict.generate`."""
        return generate(self.module, n, bins, seed)


def with_data(config: DictConfig, settings: dict[str, Any]) -> DictConfig:
    """A copy of `config` with other settings of the data; a `path` is its reader's where the data have one."""
    config = copy.deepcopy(config)
    if "path" in settings and "path" not in config.data and "path" in config.data.get("reader", {}):
        settings = {**{key: value for key, value in settings.items() if key != "path"}, "reader": {"path": settings["path"]}}
    OmegaConf.update(config, "data", settings, merge=True)
    return config


def load(path: str | Path, data: dict[str, Any] | None = None, allow_targets: tuple[str, ...] = ()) -> Run:
    """Load a checkpoint that a training run wrote; the data are read when they are first asked for.

    Args:
        path: a checkpoint, a run's folder (then the weights that its `predict.weights` names), or an artifact on Weights &
            Biases, `wandb:entity/project/name:alias`, which is downloaded first.
        data: settings of the data to replace, such as `{"path": "recordings/maze"}` when the files have moved.
        allow_targets: further packages whose classes the checkpoint's config may build, such as `("mypackage.",)`; code in
            them is run, so name only what you trust.

    Raises:
        CheckpointError: the file is missing, damaged, or not one of ours, or the artifact cannot be fetched.
    """
    path = checkpoint_in(fetch(str(path)) if str(path).startswith(PREFIX) else Path(path))
    checkpoint = read_checkpoint(path)
    record = checkpoint["neuralsde"]
    trust = "if you trust it, name its package in load(…, allow_targets=(…,)), or with --allow-targets on the command line"
    refuse_foreign_targets(record["config"], str(path), trust, allow_targets)
    config = DictConfig(record["config"])
    module = rebuilt(config, DataSpec(**record["spec"]), checkpoint["state_dict"], path)
    load_weights(module, checkpoint["state_dict"], path)
    recorded = read_record(path.parent.parent).get("data", {}) if path.parent.name == "checkpoints" else {}
    files = frozenset((file["name"], file["sha256"]) for file in recorded.get("files", []))
    calibration = Calibration.of(record["calibration"]) if "calibration" in record else None
    run = Run(module.eval(), config, path, files, learned=record.get("learned", {}), calibration=calibration)
    return run.with_data(**data or {})


def rebuilt(config: DictConfig, spec: DataSpec, weights: dict[str, Tensor], path: Path) -> LatentDynamics:
    """The module that a checkpoint's config describes, in memory of the order of its weights.

    Raises:
        CheckpointError: the config describes none, or a far larger one.
    """
    try:
        with AllocationLimit.for_weights(weights):
            return build_module(config, spec)
    except Exception as error:  # settings that no run has written meet whatever error comes first
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be built again ({reason}): use another, or train again.") from error
