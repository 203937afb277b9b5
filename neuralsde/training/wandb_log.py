"""Weights & Biases without a prompt: online when logged in, offline otherwise."""

import math
import netrc
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import wandb
from lightning.pytorch.loggers import WandbLogger


def logged_in() -> bool:
    """Whether an API key is at hand, in the environment or in the user's netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False


def wandb_logger(
    run_dir: Path, config: dict[str, Any], project: str, entity: str | None, group: str | None, tags: list[str]
) -> WandbLogger:
    """A logger for this run; `WANDB_MODE` (online, offline, disabled), where set, decides over the login.

    Args:
        run_dir: the run's folder; the files go to its `wandb/`.
        config: the run's resolved config.
        project: project the run is filed under.
        entity: user or team; None for the default one.
        group: group of runs; None for none.
        tags: labels.
    """
    mode: Any = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    run_dir.mkdir(parents=True, exist_ok=True)
    # The run is opened here, as Lightning would pass wandb a setting that it warns about.
    experiment = wandb.init(
        name=run_dir.name,
        dir=run_dir,
        project=project,
        entity=entity,
        group=group,
        tags=tags,
        config=config,
        mode=mode,
        settings=wandb.Settings(silent=mode != "online", console="off", init_timeout=30),
    )
    return WandbLogger(experiment=experiment, save_dir=run_dir)


def log_checkpoints(run: Any, folder: Path, scores: dict[str, float], scored: str) -> None:
    """Keep the run's checkpoints as versions of one artifact: `best` first, then the last one, which is the `latest`.

    The files are not copied: an offline run's are uploaded from the run's folder when it is synchronised.

    Args:
        run: the run of Weights & Biases.
        folder: where `best.ckpt` and `last.ckpt` lie.
        scores: metadata of the checkpoint that was scored, where they are finite.
        scored: its name, `best` or `last`.
    """
    finite = {name: value for name, value in scores.items() if math.isfinite(value)}
    for name, alias in (("best", "best"), ("last", "latest")):
        path = folder / f"{name}.ckpt"
        if path.is_file():
            metadata = {"weights": name, **(finite if name == scored else {})}
            artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=metadata)
            artifact.add_file(str(path), policy="immutable", skip_cache=True)
            run.log_artifact(artifact, aliases=[alias])
