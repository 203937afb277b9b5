"""The settings of a search and of every run that it may start, checked before anything is written or started."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.errors import ConfigError, NeuralSDEError
from neuralsde.search.methods import SearchMethod
from neuralsde.search.space import Settings, Space, read_space
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes, monitored_score, prepare_fit
from neuralsde.training.fit_check import check_fit
from neuralsde.training.monitored import less_is_better
from neuralsde.training.settings import Rule, check_settings, check_switches, number, one_of, optional, text, whole
from neuralsde.training.targets import check_targets, plain, targets_in

RULES: dict[str, Rule] = {
    "n_trials": whole(1),
    "attempts": whole(1),
    "concurrent": optional(whole(1)),
    "cpus_per_trial": whole(1),
    "gpus_per_trial": optional(number(0.0)),
    "ray": one_of(True, False),
    "address": optional(text("auto, or the address of a Ray cluster")),
}
METHODS = ("PopulationBasedTraining", "RandomSearch", "SuccessiveHalving")
NEEDS_WHOLE_MODEL = ("ckpt", "init_from")


@dataclass(frozen=True)
class Searched:
    """What all trials of a search share.

    Args:
        monitor: the validation score that they are compared by.
        weights: which of a trial's checkpoints is handed out, `best` or `last`.
        stops: epochs after which the generations end; the last is the end.
        threads: cores of a trial.
    """

    monitor: str
    weights: str
    stops: tuple[int, ...]
    threads: int

    @property
    def epochs(self) -> int:
        """Epochs of a trial that trains to the end."""
        return self.stops[-1]

    @property
    def higher(self) -> bool:
        """Whether a higher score is better."""
        return not less_is_better(self.monitor)


@dataclass(frozen=True)
class Prepared:
    """A search that has been checked and not begun: nothing has been written yet.

    Args:
        config: of the search, unresolved but for `run_dir`.
        method: what is trained next.
        space: what settings are drawn from.
        searched: what all trials share.
        data: the datamodule.
        allow_targets: further packages whose classes the config may build.
    """

    config: DictConfig
    method: SearchMethod
    space: Space
    searched: Searched
    data: TrialDataModule
    allow_targets: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The search's folder."""
        return Path(self.config.run_dir)


def prepare_search(config: DictConfig, allow_targets: tuple[str, ...] = ()) -> Prepared:
    """Check a search and every run that it may start.

    Args:
        config: composed.
        allow_targets: see `Prepared`.

    Raises:
        NeuralSDEError: anything a user can mend, in one sentence.
    """
    check_search_settings(config)
    check_settings(config)
    check_targets(config, allow_targets)
    refuse_foreign_method(config)
    check_switches(config)
    space = read_space(config)
    method = instantiate_part(config.search, "method")
    sized = OmegaConf.create(OmegaConf.to_container(config, resolve=False))  # pyright: ignore[reportArgumentType]
    assert isinstance(sized, DictConfig)
    data = instantiate_part(sized, "data")
    check_fit(sized, data)
    fill_in_sizes(sized, data.spec)
    check_space(sized, space, data, method)
    fit = prepare_fit(sized, data, Path(config.run_dir))
    stops = stops_of(method, fit.trainer.max_epochs or 1, fit.trainer.check_val_every_n_epoch or 1)
    monitor = monitored_score(sized, data.eval_set, data.spec)
    searched = Searched(monitor, config.predict.weights, stops, config.search.cpus_per_trial)
    return Prepared(config, method, space, searched, data, allow_targets)


def refuse_foreign_method(config: DictConfig) -> None:
    """Raises:
    ConfigError: the method, or something within its settings, is none of this package's.
    """
    known, found = [f"neuralsde.search.{name}" for name in METHODS], list(targets_in(plain(config.search.method)))
    if not config.search.method.get("_target_") or not set(found) <= set(known):
        target = next((name for name in found if name not in known), None)
        raise ConfigError(
            f"search.method._target_ is {target}; choose search=pbt, asha or random, or one of {', '.join(known)}."
        )


def check_search_settings(config: DictConfig) -> None:
    """Hold `search.*`, and what a search forbids, against the rules.

    Raises:
        ConfigError: a setting is missing or has an impossible value.
    """
    if OmegaConf.is_missing(config.search, "method"):
        raise ConfigError("search.method is not given; choose search=pbt, asha or random.")
    for key, (allows, needed) in RULES.items():
        value = config.search.get(key)
        if not allows(value):
            raise ConfigError(f"search.{key} is {'null' if value is None else value}; give {needed}.")
    for key in NEEDS_WHOLE_MODEL:
        if config.get(key) is not None:
            raise ConfigError(f"{key} is {config[key]}, but the trials of a search begin anew: leave it out.")
    if config.data.get("phase") == "test":
        raise ConfigError(
            "data.phase=test would choose among trials by the test split: search with data.phase=val, then score the winner "
            "with `neuralsde evaluate RUN_DIR --phase test`."
        )


def stops_of(method: SearchMethod, epochs: int, every: int) -> tuple[int, ...]:
    """Epochs after which the generations of a search end, each with a validation.

    Args:
        method: of the search.
        epochs: of a run.
        every: epochs from one validation to the next.

    Raises:
        ConfigError: there are fewer validations than generations.
    """
    validations = epochs // every
    stops = tuple(round(method.share(g) * validations) * every for g in range(method.generations))
    if stops[0] == 0 or len(set(stops)) < len(stops):
        raise ConfigError(
            f"The search stops {method.generations} times in {epochs} epochs, but validates in every {every} of them only: "
            "give more training.steps, fewer generations or rungs, or a lower trainer.check_val_every_n_epoch."
        )
    return stops


def check_space(config: DictConfig, space: Space, data: TrialDataModule, method: SearchMethod) -> None:
    """Build a model at the ends of every law, with the others at their first.

    Raises:
        ConfigError: a value is impossible, or changes the weights' shapes while a trial trains.
    """
    first: Settings = {key: law.extremes()[0] for key, law in space.laws.items()}
    shapes = shapes_of(config, first, data)
    for key, law in space.laws.items():
        for value in law.extremes():
            found = shapes_of(config, {**first, key: value}, data, key)
            if method.keeps_shapes and found != shapes:
                raise ConfigError(
                    f"search.space names {key}, but it changes the shapes of the weights, which {type(method).__name__} hands "
                    f"from trial to trial: take it out with ~search.space.{key}, or choose search=asha or search=random."
                )


def shapes_of(config: DictConfig, settings: Settings, data: TrialDataModule, key: str = "") -> dict[str, Any]:
    """Shapes of the weights under some settings.

    Raises:
        ConfigError: a part refuses them; the sentence names `key`.
    """
    config = config.copy()
    for name, value in settings.items():
        OmegaConf.update(config, name, value)
    try:
        check_settings(config)
        check_fit(config, data)
        if not whole(1)[0](config.data.get("batch_size", 1)):
            raise ConfigError(f"data.batch_size is {config.data.batch_size}; give a whole number of at least 1.")
        module = build_module(config, data.spec)
        module.make_optimizer(module.parameter_groups())
    except (NeuralSDEError, TypeError, ValueError) as error:
        at = f"search.space allows {key}={settings[key]}" if key else "The lowest values of search.space do not go together"
        raise ConfigError(f"{at}: {error}") from error
    return {name: tuple(weight.shape) for name, weight in module.state_dict().items()}


def on_gpu(config: DictConfig) -> bool:
    """Whether trials train on a GPU of this machine."""
    return config.trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def gpus_of(config: DictConfig) -> float:
    """GPUs of a trial: those that the config gives, or one where there is one."""
    given = config.search.gpus_per_trial
    return float(on_gpu(config)) if given is None else float(given)
