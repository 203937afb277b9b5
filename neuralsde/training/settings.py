"""Settings that no part of its own would refuse, checked before anything is read or written."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from neuralsde.errors import ConfigError
from neuralsde.inference.path import Estimator
from neuralsde.training.targets import BUILT

Rule = tuple[Callable[[Any], bool], str]


def whole(least: int, most: int | None = None) -> Rule:
    """A whole number from `least` (to `most`)."""
    text = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    return lambda v: type(v) is int and v >= least and (most is None or v <= most), text


def number(least: float | int, below: float = math.inf) -> Rule:
    """A number in [`least`, `below`)."""
    text = f"a number of at least {least}" + (f" and below {below}" if math.isfinite(below) else "")
    return lambda v: isinstance(v, int | float) and type(v) is not bool and least <= v < below, text


def between(low: float, high: float) -> Rule:
    """A number between the two, without them."""
    return lambda v: isinstance(v, float) and low < v < high, f"a number between {low:g} and {high:g}"


def one_of(*choices: Any) -> Rule:
    """One of the values."""
    return lambda v: v in choices, "one of " + ", ".join(map(str, choices))


def optional(rule: Rule) -> Rule:
    """What the rule allows, or null."""
    return lambda v: v is None or rule[0](v), f"{rule[1]}, or null"


def text(what: str) -> Rule:
    """Text that is not empty."""
    return lambda v: isinstance(v, str) and v != "", what


def per_term(rule: Rule) -> Rule:
    """What the rule allows, or a mapping of names to it."""

    def allows(value: Any) -> bool:
        return all(map(rule[0], value.values())) if isinstance(value, DictConfig) else rule[0](value)

    return allows, f"{rule[1]}, or one for each term by name"


def back_off() -> Rule:
    """A factor of the learning rate, and how often it may be applied."""

    def allows(value: Any) -> bool:
        given = isinstance(value, DictConfig) and value.keys() == {"factor", "times"}
        return given and between(0.0, 1.0)[0](value.factor) and whole(1)[0](value.times)

    return allows, "a mapping such as {factor: 0.5, times: 3}, with a factor between 0 and 1"


def stop_stale() -> Rule:
    """How many validations without a new best are put up with, and how many epochs come first."""

    def allows(value: Any) -> bool:
        given = isinstance(value, DictConfig) and value.keys() == {"patience", "after"}
        return given and whole(0)[0](value.patience) and whole(0)[0](value.after)

    return allows, "a mapping such as {patience: 10, after: 20} of whole numbers"


RULES: dict[str, Rule] = {
    "seed": whole(0, 2**32 - 1),
    "ckpt": optional(text("last, auto or a checkpoint's file")),
    "init_from": optional(text("a run's folder or a .ckpt file")),
    "training.steps": whole(1),
    "training.val_samples": whole(1),
    "training.ema_decay": optional(number(0.0, 1.0)),
    "training.weight_decay_ramp_epochs": number(0),
    "training.monitor": optional(
        one_of("val/co_bps", "val/fp_bps", "val/nll", "val/elbo", "val/mse", "val/accuracy", "val/auroc")
    ),
    "training.explosion_ratio": optional(number(1.0)),
    "training.back_off": optional(back_off()),
    "training.stop_stale": optional(stop_stale()),
    "training.decay_matrices_only": one_of(True, False),
    "training.norm_penalty": optional(number(0.0)),
    "training.heldout_weight": optional(number(0.0)),
    "training.forward_weight": optional(number(0.0)),
    "training.compile": one_of(True, False),
    "training.baselines": one_of(True, False),
    "training.plots": one_of(True, False),
    "training.start_at_mean_rates": one_of(True, False),
    "objective.kl_weight": per_term(number(0.0)),
    "objective.kl_ramp_epochs": per_term(number(0)),
    "objective.samples": optional(whole(1)),
    "objective.estimator": optional(one_of(*(e.value for e in Estimator))),
    "logger.wandb": one_of(True, False),
    "logger.pictures_every": optional(number(1.0)),
    "logger.pictures_share": optional(number(0.0, 1.0)),
    "logger.checkpoints": optional(one_of(True, False)),
    "trainer.max_epochs": optional(whole(1)),
    "trainer.num_nodes": optional(whole(1)),
    "trainer.check_val_every_n_epoch": whole(1),
    "trainer.gradient_clip_val": optional(number(0.0)),
    "predict.weights": one_of("best", "last"),
    "predict.n_samples": whole(1),
    "predict.sample_batch": optional(whole(1)),
    "predict.average": one_of("rate", "log_rate", "median"),
    "predict.interval": optional(between(0.0, 1.0)),
    "predict.dropout": one_of(True, False),
    "predict.seed": whole(0),
}


def check_settings(config: DictConfig) -> None:
    """Hold `config` against the rules above.

    Raises:
        ConfigError: a group is missing, or a setting that must be given, or one has an impossible value.
    """
    for group in ("data", "model", "objective", "optimizer", "schedule", "training", "trainer", "predict", "logger", "run_dir"):
        if config.get(group) is None:
            raise ConfigError(
                f"{group} is null; leave it out of the command line, or choose one of the files in configs/{group}."
            )
        if group != "run_dir" and not isinstance(config[group], DictConfig):
            raise ConfigError(f"{group} is {config[group]!s:.40}; choose one of the files in configs/{group}.")
    if missing := sorted(OmegaConf.missing_keys(config.data)):
        raise ConfigError(f"{missing[0]} is not given; add {missing[0]}=… to the command line.")
    for name, (allows, text) in RULES.items():
        group, key = name.split(".") if "." in name else ("", name)
        part = config[group] if group else config
        if key not in part and group in ("logger", "model", "objective"):
            continue  # not all choices have all settings
        if key in part and OmegaConf.is_interpolation(part, key):
            continue  # a default that the data decide
        value = OmegaConf.select(config, name)
        if not allows(value):
            raise ConfigError(f"{name} is {'null' if value is None else value}; give {text}.")


def check_switches(config: DictConfig) -> None:
    """Hold what is given for parameters that are declared as true or false, which Python takes any text for, against that. The
    config's targets have been checked: this imports them.

    Raises:
        ConfigError: one is neither.
    """
    for group in BUILT:
        if isinstance(part := config.get(group), DictConfig):
            _check_switches(part, group)


def _check_switches(part: DictConfig, where: str) -> None:
    target = part.get("_target_")
    switches = switches_of(target) if isinstance(target, str) else set()
    for key in map(str, part):
        if OmegaConf.is_missing(part, key) or OmegaConf.is_interpolation(part, key):
            continue  # asked for elsewhere, or a default that the data decide
        value = part[key]
        if isinstance(value, DictConfig):
            _check_switches(value, f"{where}.{key}")
        elif key in switches and value not in (True, False):
            raise ConfigError(f"{where}.{key} is {'null' if value is None else value}; give true or false.")


def switches_of(target: str) -> set[str]:
    """Names of the parameters of a class or function that are declared as true or false; none where there is no such thing,
    which is refused when it is to be built."""
    try:
        parameters = inspect.signature(get_object(target)).parameters
    except (ImportError, ValueError, TypeError):
        return set()
    return {name for name, parameter in parameters.items() if parameter.annotation in (bool, "bool")}
