"""The search space: a law for each of some settings, and seeded draws from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from omegaconf import DictConfig, OmegaConf

from neuralsde.errors import ConfigError
from neuralsde.search.laws import LAWS, Law

Settings = dict[str, Any]
"""Values by the names of the settings, such as `optimizer.lr`."""

SEARCHED = ("model", "objective", "optimizer", "schedule", "training", "trainer")
DATA = ("data.batch_size",)
FIXED = {
    "training.steps": "all trials train equally long",
    "training.monitor": "trials are compared by it",
    "training.val_samples": "trials are compared by what it measures",
    "trainer.max_epochs": "all trials train equally long",
    "trainer.check_val_every_n_epoch": "trials are compared at the same epochs",
}


@dataclass(frozen=True)
class Space:
    """Laws by the names of the settings.

    Args:
        laws: in the order in which values are drawn.
        seed: of all draws.
    """

    laws: dict[str, Law]
    seed: int

    def drawn(self, trial: int, attempt: int) -> Settings:
        """The settings with which a trial begins, a function of the seed and the two numbers."""
        rng = self.generator(trial, 0, attempt)
        return {key: law.draw(rng) for key, law in self.laws.items()}

    def explored(
        self, settings: Settings, trial: int, generation: int, factors: Sequence[float | int], resample: float | int
    ) -> Settings:
        """Settings near others: each is drawn anew with probability `resample` and perturbed otherwise."""
        rng = self.generator(trial, generation, 0)
        return {
            key: law.draw(rng) if rng.random() < resample else law.perturb(settings[key], factors, rng)
            for key, law in self.laws.items()
        }

    def generator(self, *numbers: int) -> Generator:
        """The generator of some numbers, the same whenever it is asked for."""
        return np.random.default_rng([self.seed, *numbers])


def read_space(config: DictConfig) -> Space:
    """The space that `search.space` describes.

    Raises:
        ConfigError: a name that is no setting or not to be searched, or a law that is none.
    """
    given = config.search.get("space")
    if not given:
        raise ConfigError("search.space is empty; add a setting, such as '+search.space.optimizer.lr.loguniform=[1e-4,1e-2]'.")
    laws = dict(laws_in(given))
    for key in laws:
        refuse_setting(config, key)
    return Space(laws, config.seed)


def laws_in(node: Any, prefix: str = "") -> Iterator[tuple[str, Law]]:
    """The laws of a nested config, by dotted names."""
    key = f"search.space.{prefix}".rstrip(".")
    if not isinstance(node, DictConfig) or not node:
        raise ConfigError(f"{key} is {node}; give a law, such as {key}.uniform=[0.1,0.5] ({', '.join(LAWS)}).")
    named = [name for name in node if name in LAWS]
    if len(named) > 1:
        raise ConfigError(
            f"{key} has {' and '.join(map(str, named))}; keep one law: take the other out with ~{key}.{named[0]}."
        )
    if named and len(node) > 1:
        raise ConfigError(f"{key} has {', '.join(map(str, node))}, but a law stands alone: keep {named[0]}.")
    if named:
        yield prefix.rstrip("."), LAWS[str(named[0])](node[named[0]], key, str(named[0]))
        return
    for name in node:
        yield from laws_in(node[name], f"{prefix}{name}.")


def refuse_setting(config: DictConfig, key: str) -> None:
    """Raises:
    ConfigError: `key` is no setting of this run, or one that may not differ between trials.
    """
    if key in FIXED:
        raise ConfigError(f"search.space names {key}, but {FIXED[key]}: give it one value, {key}=….")
    if key.split(".")[0] not in SEARCHED and key not in DATA:
        allowed = ", ".join((*(f"{group}.*" for group in SEARCHED), *DATA))
        raise ConfigError(f"search.space names {key}, which does not differ between trials; give settings of {allowed}.")
    group, _, last = key.rpartition(".")
    part = OmegaConf.select(config, group) if closed(config, group) else None
    if not isinstance(part, DictConfig) or last not in part or last.startswith("_"):
        raise ConfigError(f"search.space names {key}, which is no setting of this run; take it out with ~search.space.{key}.")
    if isinstance(part._get_node(last), DictConfig):
        raise ConfigError(
            f"search.space names {key}, which is a group; give one of its settings: {', '.join(map(str, part[last]))}."
        )


def closed(config: DictConfig, group: str) -> bool:
    """Whether every step to `group` is a config that stands there, not a reference to something else."""
    for name in group.split("."):
        if not isinstance(config, DictConfig) or name not in config or OmegaConf.is_interpolation(config, name):
            return False
        config = config[name]
    return True
