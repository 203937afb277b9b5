"""Which checkpoints a run keeps, and when they are written."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint

from neuralsde.training.checkpoint import readable
from neuralsde.training.csv_log import CSVLog
from neuralsde.training.monitored import less_is_better


class MovableCheckpoint(ModelCheckpoint):
    """Keeps its best score where a run's folder was moved or copied; Lightning would begin anew and overwrite a better one."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        before, now = state_dict["dirpath"], str(self.dirpath)

        def moved(value: Any) -> Any:
            if isinstance(value, dict):
                return {moved(key): item for key, item in value.items()}
            return value.replace(before, now, 1) if isinstance(value, str) else value

        state = {key: moved(value) for key, value in state_dict.items()}
        # Not in the folder of a new run that goes on from another's checkpoint; and a damaged best one is none.
        best = Path(state["best_model_path"])
        if best.is_file() and readable(best):
            super().load_state_dict(state)


class BestCheckpoint(MovableCheckpoint):
    """Written at the end of an epoch with a validation, so that a run can go on from it as from the last one; Lightning
    would write it after the validation, in the midst of the epoch's end."""

    validated = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.validated:
            self.validated = False
            super().on_train_epoch_end(trainer, pl_module)


class RowFirst(Checkpoint):
    """Writes an epoch's row of `metrics.csv` before its checkpoints; Lightning logs after them, so that a kill between the two
    would leave a gap in the curve."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        row = {name: float(value) for name, value in trainer.callback_metrics.items() if not name.startswith("val/")}
        for logger in trainer.loggers:
            if isinstance(logger, CSVLog):
                logger.log_metrics({**row, "epoch": trainer.current_epoch}, trainer.global_step - 1)
                logger.save()


def keepers(folder: Path, monitored: str) -> list[Checkpoint]:
    """The callbacks that write a run's checkpoints, in their order.

    Args:
        folder: where `best.ckpt` and `last.ckpt` go.
        monitored: the score that picks the best one.
    """
    mode = "min" if less_is_better(monitored) else "max"
    at_end: dict[str, Any] = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    best = BestCheckpoint(folder, filename="best", monitor=monitored, mode=mode, **at_end)
    return [RowFirst(), best, MovableCheckpoint(folder, filename="last", **at_end)]
