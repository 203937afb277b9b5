"""Checkpoints that lie on Weights & Biases."""

from pathlib import Path
from typing import Any

from neuralsde.errors import CheckpointError

PREFIX = "wandb:"


def fetch(name: str, api: Any = None) -> Path:
    """Download an artifact into wandb's own cache (`artifacts/` unless `WANDB_ARTIFACT_DIR` says otherwise).

    Args:
        name: `wandb:entity/project/name:alias`.
        api: a `wandb.Api`; by default a new one, with the login at hand.

    Returns:
        The checkpoint, or a run's folder.

    Raises:
        CheckpointError: the name is no artifact's, the artifact cannot be fetched, or it holds no checkpoint.
    """
    path = name.removeprefix(PREFIX)
    if not 1 <= path.count("/") <= 2 or ":" not in path.rsplit("/")[-1]:
        raise CheckpointError(
            f"{name} names no artifact: give wandb:entity/project/name:alias, such as wandb:lab/reach/model:best."
        )
    import wandb
    from wandb.errors import Error

    try:
        folder = Path((api or wandb.Api()).artifact(path).download())
    except (Error, ValueError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise CheckpointError(
            f"{name} cannot be fetched ({reason}): check the name and the alias, and log in with `wandb login`."
        ) from error
    return checkpoint_among(folder, name)


def checkpoint_among(folder: Path, name: str) -> Path:
    """The checkpoint in an artifact's folder, or the run's folder in it."""
    if (folder / "checkpoints").is_dir():
        return folder
    found = sorted(folder.rglob("*.ckpt"))
    best = [path for path in found if path.stem in ("best", "model")] or found
    if len(best) != 1:
        listed = ", ".join(str(path.relative_to(folder)) for path in found) or "none"
        raise CheckpointError(f"{name} holds no single checkpoint (found: {listed}): give the artifact of one model.")
    return best[0]
