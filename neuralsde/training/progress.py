"""One progress line for the whole run, with the scores on it."""

import sys
import time

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class EpochProgress(ProgressBar):
    """A bar over epochs with loss, co-bps and its best so far; plain lines where the output is not a terminal.

    Args:
        lines: how many lines a run writes where there is no terminal.
    """

    def __init__(self, lines: int = 10):
        super().__init__()
        self.lines = lines
        self._bar: Progress | None = None
        self._best = float("-inf")

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin = time.monotonic()
        self._stride = max((trainer.max_epochs or 1) // self.lines, 1)
        if trainer.is_global_zero and sys.stderr.isatty():
            columns = (
                TextColumn("[bold]train"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[scores]}"),
                TimeElapsedColumn(),
                TextColumn("<"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("", total=trainer.max_epochs, completed=trainer.current_epoch, scores="")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (co_bps := trainer.callback_metrics.get("val/co_bps")) is not None:
            self._best = max(self._best, co_bps.item())

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        done = trainer.current_epoch + 1
        if self._bar is not None:
            self._bar.update(self._task, completed=done, scores=self._scores(trainer))
        elif trainer.is_global_zero and (done % self._stride == 0 or done in (1, trainer.max_epochs)):
            seconds = time.monotonic() - self._begin
            print(f"epoch {done:>5}/{trainer.max_epochs}  {self._scores(trainer)}  {seconds:6.0f} s", file=sys.stderr)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._stop()

    def state_dict(self) -> dict[str, float]:
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self._best = state_dict["best"]

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _scores(self, trainer: L.Trainer) -> str:
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        text = f"loss {metrics.get('train/loss', float('nan')):.4f}"
        if (co_bps := metrics.get("val/co_bps")) is not None:
            text += f"  co-bps {co_bps:.4f} (best {self._best:.4f})"
        elif (elbo := metrics.get("val/elbo")) is not None:
            text += f"  val ELBO {elbo:.4f}"
        return text
