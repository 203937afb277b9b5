"""Going back to the last checkpoint with a lower learning rate, where a run diverges."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from neuralsde.errors import DivergenceError
from neuralsde.training.fit import Fit
from neuralsde.training.run_record import RunRecord


class LearningRateFactor(Callback):
    """Multiplies the learning rate of the optimiser and of its schedule; a checkpoint keeps what it was multiplied by.

    Args:
        factor: of the rate that the settings give.
    """

    def __init__(self, factor: float):
        super().__init__()
        self.factor, self.applied = factor, 1.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        share = self.factor / self.applied
        for group in trainer.optimizers[0].param_groups:
            group["lr"] *= share
            if "initial_lr" in group:
                group["initial_lr"] *= share
        for config in trainer.lr_scheduler_configs:
            config.scheduler.base_lrs = [rate * share for rate in config.scheduler.base_lrs]
        self.applied = self.factor

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_last_batch:
            pl_module.log("train/lr_factor", self.factor, on_step=False, on_epoch=True, batch_size=1)

    def state_dict(self) -> dict[str, float]:
        return {"applied": self.applied}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.applied = state_dict["applied"]


def fit_with_back_off(
    config: DictConfig,
    prepared: Fit,
    again: Callable[[], Fit],
    record: RunRecord,
    loggers: list[Logger],
    pictures: Callable[[], Sequence[Callback]],
) -> None:
    """Train; where the run diverges, go back as `training.back_off` says.

    Args:
        config: the run's config.
        prepared: the run that has been checked.
        again: prepares it anew, from its last good checkpoint or from its start.
        record: of the run; it keeps how often it went back, so that a later start goes on likewise.
        loggers: where metrics go.
        pictures: makes the callbacks that draw.

    Raises:
        DivergenceError: the run diverged, once more than it may.
        CheckpointError: a checkpoint cannot be written.
    """
    setting = config.training.get("back_off")
    if setting is None:
        prepared.run(loggers, pictures())
        return
    while True:
        done = len(record.back_offs)
        try:
            prepared.run(loggers, [LearningRateFactor(setting.factor**done), *pictures()])
            return
        except DivergenceError as error:
            if done >= setting.times:
                raise
            record.back_off(str(error))
            prepared = again()
            at = "the start" if prepared.resume is None else f"the end of epoch {prepared.epochs_done}"
            rate = f"{setting.factor ** (done + 1):g} times its learning rate"
            print(f"{error} Back-off {done + 1} of {setting.times}: from {at} with {rate}.", file=sys.stderr)
