"""A run that is told to stop keeps where it stands, and one of a SLURM job queues it again."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.callbacks import Checkpoint

REQUEUE = signal.SIGUSR1
STOPPED = 128 + signal.SIGTERM
"""Exit status of a run that was told to stop and can be gone on with."""


class StopAtSignal(Checkpoint):
    """Ends a run at SIGTERM, or at SIGUSR1 in a SLURM job, which is then put back into the queue.

    After the batch that is under way, `last.ckpt` is written; after the last batch of an epoch, the epoch is ended first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requeue = self.told = False
        self.batches: dict[str, int] | None = None
        self.before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.go_on(trainer)
        if threading.current_thread() is not threading.main_thread():
            return
        # Lightning's own handler talks to the other processes in the midst of what they exchange, and all wait for ever.
        self.before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self.tell)
        if job() is not None:
            self.before[REQUEUE] = signal.signal(REQUEUE, self.ask)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        loaders = checkpoint["loops"]["fit_loop"]["state_dict"].get("combined_loader", [])  # none in those of earlier versions
        self.batches = loaders[0] if loaders else None

    def go_on(self, trainer: L.Trainer) -> None:
        """Begin after the batches of the epoch that are done."""
        if self.batches is not None:  # Lightning forgets them where the loader has been asked for its length before
            trainer.train_dataloader.load_state_dict(self.batches)  # pyright: ignore[reportOptionalMemberAccess]

    def ask(self, *_: Any) -> None:
        """Remember to stop and to be put back; nothing else, as the signal may come anywhere."""
        self.requeue = True

    def tell(self, *_: Any) -> None:
        """Remember to stop."""
        self.told = True

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not trainer.is_last_batch and self.asked(trainer):
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")
            self.stop(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.asked(trainer):  # the last epoch has ended, with its checkpoint
            self.stop(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.asked(trainer):  # scoring may outlast what time is left
            self.stop(trainer)

    def asked(self, trainer: L.Trainer) -> bool:
        """Whether this process, or another one of the run, was told to stop."""
        return trainer.strategy.reduce_boolean_decision(self.requeue or self.told or trainer.received_sigterm, all=False)

    def stop(self, trainer: L.Trainer) -> None:
        """End the program.

        Raises:
            SystemExit: with the status `STOPPED`.
        """
        if self.requeue and trainer.is_global_zero:
            put_back(job())
        raise SystemExit(STOPPED)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self.restore()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.restore()

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        while self.before:
            signal.signal(*self.before.popitem())


def job() -> str | None:
    """The SLURM job that this process is of; None outside of one."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def put_back(job_id: str | None) -> None:
    """Have SLURM start the job again, with its own script; say so where it will not."""
    command = ["scontrol", "requeue", str(job_id)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        print(f"Job {job_id} was not put back into the queue ({reason}): submit it again.", file=sys.stderr)


def slurm() -> list[SLURMEnvironment]:
    """The plugin that knows of a SLURM job, without Lightning's own handling of signals: it would save in the midst of a step,
    into a file of another name, and go on until it is killed."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
