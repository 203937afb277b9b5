"""Parts that do not fit the data or each other, found in the config before any data are read."""

from pathlib import Path
from pydoc import locate
from typing import Any

from omegaconf import DictConfig, OmegaConf

import neuralsde
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.errors import ConfigError
from neuralsde.inference.path import Estimator, LatentProcess
from neuralsde.likelihoods import Likelihood

LIKELIHOODS = Path(neuralsde.__file__).parent / "configs" / "model" / "likelihood"
KINDS = {"counts": "counts", "real": "real values", "binary": "binary values", "category": "class indices"}


def check_fit(config: DictConfig, data: TrialDataModule) -> None:
    """Hold the class facts of likelihood and dynamics against the data's kind and the objective.

    Raises:
        ConfigError: two parts do not fit; the sentence names both.
    """
    name = config.data.get("name") or type(data).__name__
    refuse_other_kind(config, data.kind, f"data {name} hold {KINDS.get(data.kind, data.kind)}")
    refuse_other_estimator(config)


def refuse_other_kind(config: DictConfig, kind: str, found: str) -> None:
    """Raises:
    ConfigError: the likelihood, or how predictions are averaged, is for data of another kind than `found` says.
    """
    likelihood = class_of(config, "model.likelihood")
    if issubclass(likelihood, Likelihood) and kind not in likelihood.kinds:
        described = " or ".join(KINDS[k] for k in sorted(likelihood.kinds))
        fitting = " or ".join(f"model/likelihood={name}" for name in likelihoods_of(kind))
        raise ConfigError(f"model.likelihood {likelihood.__name__} describes {described}, but {found}: choose {fitting}.")
    if config.predict.average == "log_rate" and kind != "counts":
        raise ConfigError(
            f"predict.average=log_rate averages the logarithms of expected counts, but {found}: set predict.average=rate."
        )


def refuse_other_estimator(config: DictConfig) -> None:
    """Raises:
    ConfigError: the objective needs an estimator that the dynamics do not have.
    """
    dynamics, objective = class_of(config, "model.dynamics"), config.objective
    samples, estimator = objective.get("samples", 1), objective.get("estimator")
    if samples > 1:
        estimator, reason = Estimator.SAMPLED.value, f"objective.samples={samples} needs objective.estimator=sampled"
    else:
        reason = f"objective.estimator is {estimator}"
    if estimator is None or not issubclass(dynamics, LatentProcess) or Estimator(estimator) in dynamics.estimators:
        return
    has = [e.value for e in Estimator if e in dynamics.estimators]
    raise ConfigError(
        f"{reason}, but model.dynamics {dynamics.__name__} estimates its divergence as {' or '.join(has)} alone: set "
        f"objective.samples=1 and objective.estimator={has[0]}, or choose other model/dynamics."
    )


def likelihoods_of(kind: str) -> list[str]:
    """The choices of `model/likelihood` that describe data of this kind."""
    configs = {path.stem: OmegaConf.load(path) for path in sorted(LIKELIHOODS.glob("*.yaml"))}
    return [name for name, config in configs.items() if kind in class_of(config).kinds]


def class_of(config: Any, part: str = "") -> Any:
    """The class that a part's config names; `object` where the part is built by something else, or not to be found."""
    found = locate(OmegaConf.select(config, f"{part}._target_".removeprefix("."), default=""))
    return found if isinstance(found, type) else object
