"""`init_from=`: a run that begins with the parts and weights of another run's model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from torch import nn

from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import ConfigError
from neuralsde.training.checkpoint import (
    checkpoint_in,
    checkpoint_to_resume,
    load_weights,
    read_checkpoint,
)
from neuralsde.training.sizes import KINDS, other_sizes
from neuralsde.training.targets import refuse_foreign_targets


@dataclass(frozen=True)
class InitialModel:
    """The model that a run begins with.

    Args:
        path: the checkpoint's file.
        spec: sizes of the data that it was trained on.
        weights: the checkpoint's `state_dict`; averaged ones where the run averaged.
    """

    path: Path
    spec: DataSpec
    weights: Any

    def refuse_other_kind(self, name: str, kind: str) -> None:
        """Raises:
        ConfigError: the data `name` are of another kind than those that the model was trained on.
        """
        if kind != self.spec.kind:
            wanted, found = (KINDS.get(k, k) for k in (self.spec.kind, kind))
            raise ConfigError(
                f"{self.path} was trained on {wanted}, but data {name} hold {found}: choose data of the same kind, or leave "
                "out init_from."
            )

    def refuse_other_sizes(self, spec: DataSpec) -> None:
        """Raises:
        ConfigError: the data have other sizes than the model.
        """
        wanted, found = other_sizes(self.spec, spec)
        if wanted:
            raise ConfigError(
                f"{self.path} has a model for data with {wanted}, but these have {found}: choose data of the same sizes, or "
                "leave out init_from."
            )

    def load_into(self, model: nn.Module) -> None:
        """Give `model` the weights.

        Raises:
            CheckpointError: they are of another shape.
        """
        load_weights(model, self.weights, self.path, prefix="model.")


def take_model(config: DictConfig, run_dir: Path, allowed: Sequence[str] = ()) -> InitialModel | None:
    """Put the model of the checkpoint that `init_from` names into `config`, as that run resolved it.

    A run that began so and is resumed takes the model of the checkpoint that it goes on from, and begins with none.

    Args:
        config: the run's.
        run_dir: its folder.
        allowed: further packages whose classes the checkpoint may build.

    Raises:
        ConfigError: the command line chooses parts of the model too, or a checkpoint to go on from that began otherwise.
        CheckpointError: the checkpoint is missing, damaged, or asks for what it may not build.
    """
    source = config.get("init_from")
    if source is None:
        return None
    refuse_words_of_model(source)
    resume = checkpoint_to_resume(config, run_dir)
    path = checkpoint_in(Path(source)) if resume is None else resume
    checkpoint = read_checkpoint(path)
    record = checkpoint["neuralsde"]
    if resume is not None and record["config"].get("init_from") != source:
        raise ConfigError(
            f"init_from={source} is where a run begins and ckpt={config.ckpt} where it goes on, but {path} did not begin "
            "there: give one of the two."
        )
    refuse_foreign_targets(record["config"]["model"], str(path), "leave out init_from", allowed)
    config.model = record["config"]["model"]
    return InitialModel(path, DataSpec(**record["spec"]), checkpoint["state_dict"]) if resume is None else None


def refuse_words_of_model(source: str) -> None:
    """Raises:
    ConfigError: the command line chooses parts or settings of the model, which would be ignored.
    """
    if words := words_of_model():
        raise ConfigError(
            f"init_from={source} takes the whole model from there, but the command line has {' '.join(words)} too: leave out "
            "one of the two."
        )


def words_of_model() -> list[str]:
    """Words of the command line that choose parts or settings of the model; none where no command line composed the config."""
    if not HydraConfig.initialized():
        return []
    words = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    return [str(word.input_line) for word in words if re.split(r"[./]", word.key_or_group)[0] == "model"]
