"""A run that does not get better any more ends before its last epoch."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from neuralsde.training.monitored import less_is_better


class StopStale(Callback):
    """Ends training once more than `patience` validations in a row brought no new best score, after so many epochs at least.

    Args:
        monitor: the score.
        patience: validations without a new best that are put up with.
        after: number of the last epoch, from 0, that does not stop in any case.
    """

    def __init__(self, monitor: str, patience: int, after: int = 0):
        super().__init__()
        self.monitor, self.patience, self.after = monitor, patience, after
        self.sign = 1.0 if less_is_better(monitor) else -1.0
        self.best, self.waited = torch.inf, 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.is_stale(float(trainer.callback_metrics[self.monitor]), trainer.current_epoch):
            trainer.should_stop = True

    def is_stale(self, score: float, epoch: int) -> bool:
        """Whether to stop, now that a validation in an epoch (from 0) gave a score."""
        self.waited = 0 if self.sign * score < self.best else self.waited + 1
        self.best = min(self.best, self.sign * score)
        return self.waited > self.patience and epoch > self.after

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.waited = state_dict["best"], state_dict["waited"]
