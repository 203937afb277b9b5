"""Runs that something happens to, and what is left of them."""

import csv
import os
import signal
from pathlib import Path

import torch

from neuralsde.training.module import LatentDynamics


def rows(run_dir: Path) -> list[dict[str, str]]:
    """The rows of `metrics.csv`, whatever the order of its columns."""
    with (run_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def state(run_dir: Path, name: str = "last") -> dict:
    """What a checkpoint says of weights, optimiser and schedule, without when and where it was written."""
    checkpoint = torch.load(run_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)
    kept = ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "global_step", "epoch")
    return {key: checkpoint[key] for key in kept if key in checkpoint}


def signal_at(monkeypatch, step: int, number: int = signal.SIGTERM) -> None:
    """Send this process a signal in the midst of a training step."""
    take = LatentDynamics.training_step

    def with_signal(module, batch, batch_index):
        if module.global_step == step:
            os.kill(os.getpid(), number)
        return take(module, batch, batch_index)

    monkeypatch.setattr(LatentDynamics, "training_step", with_signal)
