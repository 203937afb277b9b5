"""Checkpoint files: written whole or not at all, read without running what is in them."""

import sys
from collections.abc import Iterator
from dataclasses import fields
from itertools import takewhile
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from omegaconf import DictConfig
from torch import Tensor, nn

from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import CheckpointError, DamagedCheckpointError, DivergenceError
from neuralsde.files import replacing
from neuralsde.training import plain_values
from neuralsde.training.sizes import KINDS

ABSENT = "(not set)"
"""Stands for a setting that one of two configs does not have, such as one of a version before it came."""
BESIDE = ("learned", "calibration")
"""Parts of a checkpoint's record beside config and sizes, where the data have them."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old file and then takes its place, so that a full disk or a kill leaves the old one.

    What is not finite is not written: a checkpoint is always one to go on from.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        path = Path(path)
        refuse_not_finite(checkpoint, path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # torch's zip writer turns a failed write into a RuntimeError
            reason = why_unwritten(error)
            raise CheckpointError(
                f"{path} cannot be written ({reason}), and an earlier checkpoint of that name is kept: free space, then go on "
                "with ckpt=last."
            ) from error


def why_unwritten(error: BaseException) -> str:
    """What the system said of a write that failed, below what torch made of it."""
    below: BaseException | None = error
    while below is not None and not isinstance(below, OSError):
        below = below.__cause__ or below.__context__
    return (below and below.strerror) or str(error).splitlines()[0]


def refuse_not_finite(checkpoint: dict[str, Any], path: Path) -> None:
    """Raises:
    DivergenceError: a weight or an averaged one is not finite.
    """
    for part in ("state_dict", "current_model_state"):
        for name, value in checkpoint.get(part, {}).items():
            if not value.isfinite().all():
                raise DivergenceError(
                    f"{name} is not finite in epoch {checkpoint['epoch']}, and {path.name} was not written: lower "
                    "optimizer.lr, set trainer.gradient_clip_val or training.back_off."
                )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of one of our checkpoints.

    Raises:
        DamagedCheckpointError: the file cannot be read to its end.
        CheckpointError: it is missing, or not one of ours.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}: give a .ckpt file or a run's folder.")
    try:
        refuse_packed(path)
        hold_against_checksums(path)
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): check its permissions and its disk.") from error
    except Exception as error:  # torch's unpickler meets a damaged file with whatever error comes first
        raise DamagedCheckpointError(f"{path} is damaged or no checkpoint: use another, or train again.") from error
    needed = {"neuralsde", "state_dict", "epoch"}
    if not isinstance(checkpoint, dict) or not needed <= checkpoint.keys():
        raise CheckpointError(f"{path} was not written by neuralsde: give a checkpoint of one of its runs.")
    refuse_unsound_record(checkpoint["neuralsde"], path)
    refuse_unsound_weights(checkpoint, path)
    return checkpoint


def refuse_packed(path: Path) -> None:
    """Raises:
    ValueError: the archive's members are not stored as they are, so that a small file could unpack to any size.
    """
    with ZipFile(path) as archive:
        members = archive.infolist()
    if any(m.compress_type != ZIP_STORED for m in members) or sum(m.file_size for m in members) > path.stat().st_size:
        raise ValueError("its members are compressed")


def refuse_unsound_record(record: Any, path: Path) -> None:
    """Raises:
    CheckpointError: a checkpoint's record is incomplete, or holds what no run writes.
    """
    try:
        spec, config = DataSpec(**record["spec"]), record["config"]
        complete = all(isinstance(config.get(group), dict) for group in ("model", "data", "predict"))
    except (TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is of another version of neuralsde ({error}): train again with this one.") from error
    if not complete:
        raise CheckpointError(f"{path} holds no complete config: train again.")
    beside = [record.get(name, {}) for name in BESIDE]
    if reason := plain_values.fault_of(config) or fault_of_sizes(spec) or next(filter(None, map(fault_of_arrays, beside)), ""):
        raise CheckpointError(f"{path} is no checkpoint of a run, since its record {reason}: use another.")


def fault_of_arrays(part: Any) -> str:
    """Why a part of a record is none of plain values and tensors; empty where it is one."""
    if not isinstance(part, dict):
        return f"holds a {type(part).__name__} where names are needed"
    for name, value in part.items():
        words = isinstance(value, list) and all(type(word) is str for word in value)
        if not (words or is_stored(value) or type(value) in plain_values.LEAVES):
            return f"gives {name!r:.60} as a {type(value).__name__}"
    return ""


def add_to_record(path: Path, name: str, part: dict[str, Any]) -> None:
    """Put a part of its own into a checkpoint's record.

    Raises:
        CheckpointError: the file cannot be read or written.
    """
    checkpoint = read_checkpoint(path)
    checkpoint["neuralsde"] = {**checkpoint["neuralsde"], name: part}
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)


def fault_of_sizes(spec: DataSpec) -> str:
    """Why sizes can be those of no data; empty where they can."""
    if not isinstance(spec.kind, str) or spec.kind not in KINDS:  # a list is no key
        return f"says that the data are {spec.kind!r:.40}"
    for field in fields(spec):
        value = getattr(spec, field.name)
        if field.type is int and not (type(value) is int and 0 <= value < 1 << 31):
            return f"gives {field.name} as {value!r:.40}"
        if field.name.endswith("_s") and value is not None and not (isinstance(value, int | float) and 0 < value < 1e12):
            return f"gives {field.name} as {value!r:.40}"
    return ""


def refuse_unsound_weights(checkpoint: dict[str, Any], path: Path) -> None:
    """Raises:
    CheckpointError: the weights are no tensors in memory, each with bytes of its own, or the epoch is no number.
    """
    weights = checkpoint["state_dict"]
    sound = isinstance(weights, dict) and all(type(name) is str and is_stored(weight) for name, weight in weights.items())
    if not sound or type(checkpoint["epoch"]) is not int or checkpoint["epoch"] < 0:
        raise CheckpointError(f"{path} is damaged or no checkpoint: use another, or train again.")


def is_stored(weight: Any) -> bool:
    """Whether a weight is a tensor whose every entry was in the file: a view of one number may claim to have 10^12."""
    if not isinstance(weight, Tensor) or weight.layout != torch.strided or weight.device.type != "cpu":
        return False
    return weight.numel() * weight.element_size() <= weight.untyped_storage().nbytes()


def hold_against_checksums(path: Path) -> None:
    """Look for parts that have changed since they were written, which torch would read without a word.

    Raises:
        BadZipFile: there is one, or the file is cut or another kind of file.
    """
    with ZipFile(path) as archive:
        if (part := archive.testzip()) is not None:
            raise BadZipFile(f"the checksum of {part} is another")


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
    """The checkpoint that `ckpt=` names, or None: for `last` and `auto` the run's last good one.

    Raises:
        CheckpointError: there is no such file.
    """
    if config.ckpt is None:
        return None
    if config.ckpt not in ("last", "auto"):
        if not Path(config.ckpt).is_file():
            raise CheckpointError(f"There is no checkpoint at {config.ckpt}: check ckpt=.")
        return Path(config.ckpt)
    last = run_dir / "checkpoints" / "last.ckpt"
    there = [path for path in (last, last.with_name("best.ckpt")) if path.is_file()]
    damaged = list(takewhile(lambda path: not readable(path), there))
    for path in damaged:
        print(f"{path} is damaged and is not used.", file=sys.stderr)
    if len(damaged) < len(there):
        return there[len(damaged)]
    if config.ckpt == "last":
        raise CheckpointError(
            f"There is no {'other ' if damaged else ''}checkpoint at {last}: give run_dir= of the run to go on with."
        )
    return None


def readable(path: Path) -> bool:
    """Whether the checkpoint at `path` can be read to its end.

    Raises:
        CheckpointError: it is not one of ours.
    """
    try:
        read_checkpoint(path)
    except DamagedCheckpointError:
        return False
    return True


def epochs_done(checkpoint: dict[str, Any]) -> int:
    """Epochs that had ended when a checkpoint was written; it may be of the midst of the next one."""
    return checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]


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
        raise CheckpointError(
            f"{path} holds weights of another shape than its own config describes, as one of another version may: {first}"
        ) from error


def refuse_other_weights(path: Path, checkpoint: dict[str, Any], module: nn.Module) -> None:
    """Check that a run can go on with the weights of `checkpoint`.

    Raises:
        CheckpointError: they have other names or shapes than those of `module`.
    """
    both = module.state_dict(), checkpoint["state_dict"]
    now, before = ({name: tuple(w.shape) for name, w in weights.items()} for weights in both)
    if wrong := [name for name in (*now, *before) if now.get(name) != before.get(name)]:
        raise CheckpointError(
            f"{path} holds other weights than this version makes of the same settings ({wrong[0]}, {len(set(wrong))} in all): "
            "train again, in another run_dir."
        )


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
    if (done := epochs_done(checkpoint)) > max_epochs:
        raise CheckpointError(
            f"{path} has done {done} epochs already, but this run asks for {max_epochs}: give more "
            "training.steps or trainer.max_epochs."
        )


def differences(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Settings that differ between two nested configs, as (dotted name, old, new)."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from differences(f"{name}.{key}", old.get(key, ABSENT), new.get(key, ABSENT))
    elif old != new:
        yield name, old, new
