"""Checkpoint files: written whole or not at all, read without running what is in them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_object
from lightning.pytorch.plugins.io import TorchCheckpointIO
from omegaconf import DictConfig
from torch import nn

from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import CheckpointError

ALLOWED = ("neuralsde.", "torch.optim.")  # where the classes lie that a checkpoint's config may build


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old file and then takes its place, so that a full disk or a kill leaves the old one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        path = Path(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except (OSError, RuntimeError) as error:  # torch's zip writer turns a failed write into a RuntimeError
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise CheckpointError(
                f"{path} cannot be written ({reason}), and an earlier checkpoint of that name is kept: free space, then go on "
                "with ckpt=last."
            ) from error
        finally:
            partial.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of one of our checkpoints.

    Raises:
        CheckpointError: the file is missing, damaged, or not one of ours.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}: give a .ckpt file or a run's folder.")
    try:
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch's unpickler meets a damaged file with whatever error comes first
        raise CheckpointError(f"{path} is damaged or no checkpoint: use another, or train again.") from error
    needed = {"neuralsde", "state_dict", "epoch"}
    if not isinstance(checkpoint, dict) or not needed <= checkpoint.keys():
        raise CheckpointError(f"{path} was not written by neuralsde: give a checkpoint of one of its runs.")
    record = checkpoint["neuralsde"]
    try:
        DataSpec(**record["spec"])
        complete = {"model", "data", "predict"} <= record["config"].keys()
    except (TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is of another version of neuralsde ({error}): train again with this one.") from error
    if not complete:
        raise CheckpointError(f"{path} holds no complete config: train again.")
    return checkpoint


def checkpoint_in(path: Path) -> Path:
    """The checkpoint file at `path`, a file or the folder of a run or of a search."""
    if not path.is_dir():
        return path
    if (path / "search.json").is_file():
        path = path / "best"
    found = [path / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
    config = path / "config.yaml"
    if config.is_file() and "weights: last" in config.read_text(errors="replace"):
        found.reverse()
    existing = [file for file in found if file.is_file()]
    if not existing:
        raise CheckpointError(f"The folder {path} holds no checkpoints/best.ckpt or last.ckpt: give a run's folder or a .ckpt.")
    return existing[0]


def checkpoint_to_resume(config: DictConfig, run_dir: Path) -> Path | None:
    """The checkpoint that `ckpt=` names, or None.

    Raises:
        CheckpointError: there is no such file.
    """
    if config.ckpt is None:
        return None
    path = run_dir / "checkpoints" / "last.ckpt" if config.ckpt == "last" else Path(config.ckpt)
    if not path.is_file():
        hint = "give run_dir= of the run to go on with" if config.ckpt == "last" else "check ckpt="
        raise CheckpointError(f"There is no checkpoint at {path}: {hint}.")
    return path


def load_weights(module: nn.Module, weights: Any, path: Path, prefix: str = "") -> None:
    """Put weights into `module`, each in its place and none left over.

    Args:
        module: what they are of.
        weights: a checkpoint's `state_dict`.
        path: the checkpoint's file.
        prefix: of the names of those to take.

    Raises:
        CheckpointError: the module has other weights.
    """
    try:
        module.load_state_dict({name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)})
    except (RuntimeError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"{path} holds weights of another shape than its own config describes: {first}") from error


def refuse_foreign_targets(config: dict[str, Any], path: Path, otherwise: str, allowed: tuple[str, ...] = ALLOWED) -> None:
    """Check what a config would build: the name it gives and the place where what it names was defined.

    `neuralsde.workflow.os.system` begins well and is not ours.

    Args:
        config: what would be built.
        path: the checkpoint that it was read from.
        otherwise: what the user may do about it.
        allowed: packages that classes may be of.

    Raises:
        CheckpointError: the config names something outside the packages in `allowed`.
    """
    for target in targets_in(config):
        if not target.startswith(allowed) or not f"{defined_in(target, path)}.".startswith(allowed):
            raise CheckpointError(f"{path} asks for {target}, which a checkpoint may not build; {otherwise}.")


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


def refuse_other_settings(path: Path, checkpoint: dict[str, Any], record: dict[str, Any], max_epochs: int) -> None:
    """Check that a run can go on from `checkpoint` with the settings of `record`.

    Raises:
        CheckpointError: the model, the data's sizes, the optimiser, the averaging or the seed differ, or the checkpoint has
            more epochs than asked for.
    """
    before, now = checkpoint["neuralsde"], record
    pairs = {"init_from": tuple(config["config"].get("init_from") for config in (before, now))}
    pairs["spec"] = (before["spec"], now["spec"])
    for part in ("model", "optimizer", "schedule", "seed"):
        pairs[part] = (before["config"].get(part), now["config"][part])
    pairs["training.ema_decay"] = tuple(config["config"]["training"].get("ema_decay") for config in (before, now))
    for name, (old, new) in pairs.items():
        for key, was, asked in differences(name, old, new):
            raise CheckpointError(
                f"{path} was trained with {key}={was}, but this run asks for {asked}: repeat the old setting, or give another "
                "run_dir and no ckpt."
            )
    if checkpoint["epoch"] + 1 > max_epochs:
        raise CheckpointError(
            f"{path} has done {checkpoint['epoch'] + 1} epochs already, but this run asks for {max_epochs}: give more "
            "training.steps or trainer.max_epochs."
        )


def differences(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Settings that differ between two nested configs, as (dotted name, old, new)."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from differences(f"{name}.{key}", old.get(key), new.get(key))
    elif old != new:
        yield name, old, new
