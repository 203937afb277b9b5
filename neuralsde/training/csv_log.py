"""`metrics.csv`: one row per epoch, whole after every epoch, and continued by a resumed run."""

import csv
import io
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from neuralsde.files import write_whole


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
        """Take over the rows of the epochs before `epoch` from an earlier start of this run; lost ones are told."""
        rows = whole_rows(self.path) if self.path.is_file() else {}
        self.rows = {e: {k: v for k, v in row.items() if v != ""} for e, row in rows.items() if e < epoch}
        if lost := epoch - len(self.rows):
            print(
                f"{self.path} lacks the rows of {lost} of {epoch} earlier epochs; the run goes on without them.",
                file=sys.stderr,
            )

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        epoch = int(metrics.get("epoch", -1))
        if epoch >= 0:
            self.rows.setdefault(epoch, {}).update(metrics, epoch=epoch, step=step)

    @rank_zero_only
    def save(self) -> None:
        columns = list(dict.fromkeys(["epoch", "step", *(key for row in self.rows.values() for key in row)]))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(self.rows[epoch] for epoch in sorted(self.rows))
        write_whole(self.path, text.getvalue())

    def finalize(self, status: str) -> None:
        self.save()


def whole_rows(path: Path) -> dict[int, dict[str, str]]:
    """Rows by epoch, up to the first that is cut or damaged."""
    rows: dict[int, dict[str, str]] = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        try:
            for row in csv.DictReader(file, restkey="", restval=None):
                if None in row.values() or "" in row:
                    break
                rows[int(row["epoch"])] = row
        except (ValueError, KeyError, csv.Error):
            return rows
    return rows
