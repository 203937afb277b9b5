"""A checkpoint becomes a model and its data again."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from neuralsde.datamodules.spikes import SpikeDataModule
from neuralsde.datamodules.trials import DataSpec, SpikeTrials
from neuralsde.errors import CheckpointError
from neuralsde.evaluation.predict import Prediction, predict
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module
from neuralsde.training.module import LatentDynamics

ALLOWED = ("neuralsde.", "torch.optim.")  # where the classes lie that a checkpoint's config may build


@dataclass(frozen=True)
class Run:
    """A trained model and how it was made.

    Args:
        module: the model, in evaluation mode.
        config: the run's resolved config.
        path: the checkpoint's file.
    """

    module: LatentDynamics
    config: DictConfig
    path: Path

    @cached_property
    def datamodule(self) -> SpikeDataModule:
        """The data that the model was trained on, read at first use."""
        datamodule = instantiate_part(self.config, "data")
        if datamodule.spec != self.module.spec:
            raise CheckpointError(
                f"{self.path} was trained on {self.module.spec}, but its data now read as {datamodule.spec}: point "
                "load(..., data={'path': …}) at the original recording."
            )
        return datamodule

    def predict(self, trials: SpikeTrials | None = None, **settings: Any) -> Prediction:
        """Rates and latents of `trials` (default: the evaluation trials), with the run's own prediction settings.

        Args:
            trials: trials with the model's units and bins.
            settings: arguments of `neuralsde.evaluation.predict` that replace the run's.
        """
        own = {key: value for key, value in self.config.predict.items() if key != "weights"}
        return predict(self.module, self.datamodule.data.eval if trials is None else trials, **{**own, **settings})


def load(path: str | Path, data: dict[str, Any] | None = None, allow_targets: tuple[str, ...] = ()) -> Run:
    """Load a checkpoint that a training run wrote; the data are read when they are first asked for.

    Args:
        path: a checkpoint, or a run's folder (then the weights that its `predict.weights` names).
        data: settings of the data to replace, such as `{"path": "recordings/maze"}` when the files have moved.
        allow_targets: further packages whose classes the checkpoint's config may build, such as `("mypackage.",)`; code in
            them is run, so name only what you trust.

    Raises:
        CheckpointError: the file is missing, damaged, or not one of ours.
    """
    path = checkpoint_in(Path(path))
    record, state = read_checkpoint(path)
    refuse_foreign_targets(record["config"], path, (*ALLOWED, *allow_targets))
    config = DictConfig(record["config"])
    OmegaConf.update(config, "data", data or {}, merge=True)
    module = build_module(config, DataSpec(**record["spec"]))
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path} holds weights of another shape than its own config describes: {error}.") from error
    return Run(module.eval(), config, path)


def checkpoint_in(path: Path) -> Path:
    """The checkpoint file at `path`, a file or a run's folder."""
    if not path.is_dir():
        return path
    found = [path / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
    config = path / "config.yaml"
    if config.is_file() and OmegaConf.load(config).predict.weights == "last":  # pyright: ignore[reportAttributeAccessIssue]
        found.reverse()
    existing = [file for file in found if file.is_file()]
    if not existing:
        raise CheckpointError(f"The folder {path} holds no checkpoints/best.ckpt or last.ckpt: give a run's folder or a .ckpt.")
    return existing[0]


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Our record and the weights in a checkpoint; nothing in the file is executed.

    Raises:
        CheckpointError: the file is missing, damaged, or not one of ours.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}: give a .ckpt file or a run's folder.")
    try:
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} is not a readable checkpoint ({reason}): use another, or train again.") from error
    if not isinstance(checkpoint, dict) or "neuralsde" not in checkpoint:
        raise CheckpointError(f"{path} was not written by neuralsde: give a checkpoint of one of its runs.")
    return checkpoint["neuralsde"], checkpoint["state_dict"]


def refuse_foreign_targets(config: dict[str, Any], path: Path, allowed: tuple[str, ...]) -> None:
    """Check what a config would build: the name it gives and the place where what it names was defined.

    `neuralsde.workflow.os.system` begins well and is not ours.

    Raises:
        CheckpointError: the config names something outside the packages in `allowed`.
    """
    for target in targets_in(config):
        if not target.startswith(allowed) or not f"{defined_in(target, path)}.".startswith(allowed):
            raise CheckpointError(
                f"{path} asks for {target}, which a checkpoint may not build; if you trust it, name its package in "
                "load(…, allow_targets=(…,))."
            )


def defined_in(target: str, path: Path) -> str:
    """The module that defines what `target` names."""
    try:
        return get_object(target).__module__
    except (ImportError, AttributeError, ValueError) as error:
        raise CheckpointError(f"{path} asks for {target}, which this installation does not have: {error}.") from error


def targets_in(node: Any) -> Iterator[str]:
    """Every `_target_` in a nested config."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from targets_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets_in(value)
