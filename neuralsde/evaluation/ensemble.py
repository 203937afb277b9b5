"""Several trained models that predict together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from omegaconf import DictConfig

from neuralsde.datamodules.batches import TrialDataModule, stack_targets
from neuralsde.datamodules.trials import TrialData, Trials
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.evaluation.load import Run
from neuralsde.evaluation.predict import Prediction
from neuralsde.training.sizes import model_sizes


@dataclass(frozen=True)
class Ensemble:
    """Models of the same data whose rates are averaged; `Ensemble.of` checks that their data are the same.

    Args:
        runs: the models.
    """

    runs: tuple[Run, ...]

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Ensemble":
        """An ensemble of runs.

        Raises:
            CheckpointError: their data differ.
        """
        first, *others = runs
        for other in others:
            refuse_other_data(first, other)
        return cls(tuple(runs))

    @property
    def config(self) -> DictConfig:
        """Config of the first run, by whose settings all predict and are scored."""
        return self.runs[0].config

    @property
    def path(self) -> str:
        """The checkpoints' files."""
        return ", ".join(str(run.path) for run in self.runs)

    @cached_property
    def datamodule(self) -> TrialDataModule:
        """The data of the first run, which are those of all."""
        return self.runs[0].datamodule

    @property
    def data(self) -> TrialData:
        """The recording."""
        return self.datamodule.data

    def predict(self, trials: Trials | str = "eval", **settings: Any) -> Prediction:
        """Mean of the models' rates; their latents side by side, since no two models share coordinates.

        Args:
            trials: the name of a split, or trials with the models' units and bins.
            settings: as of `Run.predict`.

        Raises:
            ConfigError: an interval or quantiles were asked for, which cannot be averaged.
        """
        own = {key: value for key, value in self.config.predict.items() if key != "weights"} | settings
        refuse_spread(own)
        return self._averaged(lambda run, chosen: run.predict(chosen, **own), trials)

    def forecast(self, ahead: int, trials: Trials | str = "eval", **settings: Any) -> Prediction:
        """Mean of what the models forecast, by their priors.

        Args:
            ahead: bins beyond the observed ones.
            trials: the name of a split, or trials with the models' units and bins.
            settings: as of `Run.forecast`.

        Raises:
            ConfigError: an interval or quantiles were asked for, which cannot be averaged.
        """
        refuse_spread(settings)
        own = {key: self.config.predict[key] for key in ("n_samples", "average", "seed")} | settings
        return self._averaged(lambda run, chosen: run.forecast(ahead, chosen, **own), trials)

    def _averaged(self, predict: Callable[[Run, Trials], Prediction], trials: Trials | str) -> Prediction:
        """The mean over the models, which all predict the first run's trials, so that the data are read once."""
        chosen = trials if isinstance(trials, Trials) else self.runs[0].split(trials)
        members = [predict(run, chosen) for run in self.runs]
        rates = np.mean([one.rates for one in members], axis=0)
        mean = replace(members[0], rates=rates, latents=np.concatenate([one.latents for one in members], axis=-1))
        return mean if isinstance(trials, Trials) else mean.named_by(self.data)


def refuse_spread(settings: dict[str, Any]) -> None:
    """Raises:
    ConfigError: an interval or quantiles were asked for, which cannot be averaged.
    """
    if settings.get("interval") is not None or len(settings.get("quantiles") or ()):
        raise ConfigError(
            "An ensemble averages rates, and intervals or quantiles cannot be averaged: predict with interval=None, or open "
            "the checkpoints one by one."
        )


def refuse_other_data(first: Run, other: Run) -> None:
    """Raises:
    CheckpointError: two runs were trained on data of other sizes, or read other trials.
    """
    sizes = model_sizes(first.module.spec) == model_sizes(other.module.spec)
    if sizes and other.config.data != first.config.data:
        sizes = all(same_trials(first, other, name) for name in ("train", "eval"))
    if not sizes:
        raise CheckpointError(
            f"{first.path} and {other.path} were not trained on the same trials and units: give checkpoints of one recording, "
            "with the same data settings."
        )


def same_trials(first: Run, other: Run, split: str) -> bool:
    """Whether a split holds the same values of the same units."""
    a, b = (stack_targets(run.split(split), run.data.spec) for run in (first, other))
    return np.array_equal(a, b, equal_nan=True)
