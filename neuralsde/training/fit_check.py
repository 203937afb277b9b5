"""Parts that do not fit the data or each other, found in the config before any data are read."""

from pathlib import Path
from pydoc import locate
from typing import Any

from omegaconf import DictConfig, OmegaConf

import neuralsde
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.errors import ConfigError
from neuralsde.inference.matched_sde import MatchedSDE
from neuralsde.inference.objectives import SDEMatching
from neuralsde.inference.path import Estimator, LatentProcess
from neuralsde.likelihoods import Likelihood
from neuralsde.training.sizes import KINDS

PARTS = Path(neuralsde.__file__).parent / "configs" / "model"
EQUATION = ("latent_size", "sde", "solver", "duration_s")  # of the dynamics that objective=sde_matching turns into MatchedSDE


def check_fit(config: DictConfig, data: TrialDataModule) -> None:
    """Hold the class facts of likelihood, dynamics and decoder against the data's kind and the objective.

    Raises:
        ConfigError: two parts do not fit; the sentence names both.
    """
    name = config.data.get("name") or type(data).__name__
    refuse_other_kind(config, data.kind, f"data {name} hold {KINDS.get(data.kind, data.kind)}")
    refuse_other_estimator(config)
    if issubclass(class_of(config, "objective"), SDEMatching):
        refuse_unmatched_dynamics(config)
        refuse_mixed_bins(config)


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


def refuse_unmatched_dynamics(config: DictConfig) -> None:
    """Raises:
    ConfigError: the objective does not simulate, and the dynamics can only be simulated.
    """
    dynamics = class_of(config, "model.dynamics")
    if issubclass(dynamics, LatentProcess) and not dynamics.matches:
        raise ConfigError(
            f"objective=sde_matching learns without simulating, but model.dynamics {dynamics.__name__} can only be simulated: "
            f"{instead(config, 'the MatchedSDE that it sets')}."
        )
    lacking = [key for key in EQUATION if key not in config.model.dynamics]
    if issubclass(dynamics, MatchedSDE) and lacking:
        raise ConfigError(
            f"objective=sde_matching learns an equation that noise drives, but {chosen_dynamics(config)} gives none "
            f"(no {', '.join(lacking)}): {instead(config, 'model/dynamics=langevin_type or another with an sde and a solver')}."
        )


def refuse_mixed_bins(config: DictConfig) -> None:
    """Raises:
    ConfigError: the objective decodes some bins of a trial alone, and something needs the others.
    """
    decoder = class_of(config, "model.decoder")
    if getattr(decoder, "mixes_bins", False):
        singles = [name for name, choice in choices_of("decoder").items() if not class_of(choice).mixes_bins]
        raise ConfigError(
            f"objective=sde_matching decodes single bins, but model.decoder {decoder.__name__} decodes a bin from the others "
            f"too: {instead(config, ' or '.join(f'model/decoder={name}' for name in singles))}."
        )
    if config.training.get("sample_validation") is not None:
        raise ConfigError(
            "training.sample_validation scores entries in all bins, but objective=sde_matching decodes some of them: set "
            "training.sample_validation=null, or choose objective=elbo."
        )


def instead(config: DictConfig, parts: str) -> str:
    """What to choose where a model cannot be learned without simulating; `init_from` leaves no choice of parts."""
    if source := config.get("init_from"):
        return f"init_from={source} takes the whole model from there, so choose objective=elbo"
    return f"choose {parts}, or objective=elbo"


def chosen_dynamics(config: DictConfig) -> str:
    """The choice of `model/dynamics` that left its settings, of which the objective replaced the class."""
    left = config.model.dynamics.keys()
    fitting = {name: len(choice) for name, choice in choices_of("dynamics").items() if choice.keys() <= left}
    return f"model/dynamics={max(fitting, key=fitting.__getitem__)}" if fitting else "model.dynamics"


def likelihoods_of(kind: str) -> list[str]:
    """The choices of `model/likelihood` that describe data of this kind."""
    return [name for name, choice in choices_of("likelihood").items() if kind in class_of(choice).kinds]


def choices_of(part: str) -> dict[str, Any]:
    """The configs of `model/…`, by name."""
    return {path.stem: OmegaConf.load(path) for path in sorted((PARTS / part).glob("*.yaml"))}


def class_of(config: Any, part: str = "") -> Any:
    """The class that a part's config names; `object` where the part is built by something else, or not to be found."""
    found = locate(OmegaConf.select(config, f"{part}._target_".removeprefix("."), default=""))
    return found if isinstance(found, type) else object
