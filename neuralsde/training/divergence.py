"""What is kept of a step that was not taken, so that it can be looked into: `divergence/` in the run's folder."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from neuralsde.datamodules.batches import TrialBatch
from neuralsde.errors import CheckpointError
from neuralsde.files import replacing, write_whole
from neuralsde.training.checkpoint import read_checkpoint

FOLDER = "divergence"


@dataclass(frozen=True)
class Divergence:
    """A step that was not taken.

    Args:
        path: the file; `neuralsde.load(path)` gives the model before the step.
        batch: what the loss was of.
        facts: `reason`, `epoch`, `batch`, `step`, `noise_seed` (`torch.manual_seed` of it repeats the step's noise), `loss`,
            `terms`, `term`, `parameter`, `gradient` (the first that are not finite, or the largest; null for none).
        optimizer: the optimiser's state before the step.
    """

    path: Path
    batch: TrialBatch
    facts: dict[str, Any]
    optimizer: dict[str, Any]


def write_divergence(folder: Path, checkpoint: dict[str, Any], batch: TrialBatch, facts: dict[str, Any]) -> Path:
    """Keep a step that is not taken in a run's `divergence/`, each file whole or not at all; returns the state's path.

    Args:
        folder: the run's folder.
        checkpoint: record, weights and optimiser before the step.
        batch: what the loss was of.
        facts: see `Divergence`; also written beside as JSON.

    Raises:
        OSError: it cannot be written.
        RuntimeError: likewise, as torch tells it.
    """
    path = folder / FOLDER / f"epoch_{facts['epoch']}_batch_{facts['batch']}.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        torch.save({**checkpoint, "batch": asdict(batch), "facts": facts}, file)
    write_whole(path.with_suffix(".json"), json.dumps(spelt(facts), indent=2) + "\n")
    return path


def spelt(value: Any) -> Any:
    """The same, with `"nan"` and `"inf"` in place of numbers that JSON cannot say."""
    if isinstance(value, dict):
        return {key: spelt(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_divergence(path: str | Path) -> Divergence:
    """What `write_divergence` has kept.

    Args:
        path: the `.ckpt` file in `divergence/`.

    Raises:
        CheckpointError: it is missing, damaged, or another kind of checkpoint.
    """
    content = read_checkpoint(Path(path))
    if "batch" not in content or "facts" not in content:
        raise CheckpointError(f"{path} keeps no step of a diverging run: give a .ckpt file from a run's {FOLDER}/.")
    return Divergence(Path(path), TrialBatch(**content["batch"]), content["facts"], content["optimizer_states"][0])
