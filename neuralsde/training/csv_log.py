"""`metrics.csv`: one row per epoch, whole after every epoch, and continued by a resumed run."""

import csv
import os
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from neuralsde.errors import DataError


class CSVLog(Logger):
    """Writes `metrics.csv`. Lightning's own CSV logger deletes the old rows when a run is resumed; this one keeps them.

    Args:
        folder: where `metrics.csv` goes.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.rows: dict[int, dict[str, Any]] = {}

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run's config is written beside as `config.yaml`."""

    def continue_from(self, epoch: int) -> None:
        """Take over the rows of the epochs before `epoch` from an earlier start of this run."""
        if self.path.exists():
            try:
                with self.path.open(newline="") as file:
                    rows = {int(row["epoch"]): row for row in csv.DictReader(file)}
            except (ValueError, KeyError, TypeError, csv.Error) as error:
                raise DataError(f"{self.path} is damaged ({error}): move it away to go on without the earlier rows.") from error
            self.rows = {e: {k: v for k, v in row.items() if v != ""} for e, row in rows.items() if e < epoch}

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        epoch = int(metrics.get("epoch", -1))
        if epoch >= 0:
            self.rows.setdefault(epoch, {}).update(metrics, epoch=epoch, step=step)

    @rank_zero_only
    def save(self) -> None:
        columns = list(dict.fromkeys(["epoch", "step", *(key for row in self.rows.values() for key in row)]))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".csv.partial")
        try:
            with partial.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(self.rows[epoch] for epoch in sorted(self.rows))
            os.replace(partial, self.path)
        finally:
            partial.unlink(missing_ok=True)

    def finalize(self, status: str) -> None:
        self.save()
