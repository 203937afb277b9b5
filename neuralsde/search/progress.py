"""How a search goes, on standard error: one bar, or a line now and then where nobody watches."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from neuralsde.search.leg import History

LINES = 12  # of a search without a terminal, about


class SearchProgress:
    """A bar over legs with the generation, the best score and the time left.

    Args:
        monitor: name of the score.
        terminal: whether somebody watches.
    """

    def __init__(self, monitor: str, terminal: bool | None = None):
        self.monitor, self.begin = monitor.removeprefix("val/"), time.monotonic()
        self.terminal = sys.stderr.isatty() if terminal is None else terminal
        columns = (
            TextColumn("[bold]search"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TextColumn("<"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=Console(stderr=True), disable=not self.terminal)
        self.task = self.bar.add_task("", total=None, told="")

    def __enter__(self) -> "SearchProgress":
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def show(self, history: History, total: int) -> None:
        """Tell how far it is."""
        done = len(history.legs)
        self.bar.update(self.task, completed=done, total=max(total, done), told=self.told(history))
        if not self.terminal and (done % max(total // LINES, 1) == 0 or done == total):
            seconds = time.monotonic() - self.begin
            print(f"search {done:>4}/{total} legs  {self.told(history)}  {seconds:6.0f} s", file=sys.stderr)

    def told(self, history: History) -> str:
        """Generation, best score and failures."""
        generation = max((one.leg.generation for one in history.legs), default=0)
        failures = sum(one.failed for one in history.legs)
        best = history.ranking()[:1]
        parts = [f"generation {generation}"]
        parts += [f"best {self.monitor} {one.outcome.best:.4f} (trial {one.leg.trial})" for one in best]
        return "  ".join(parts + [f"{failures} failed"] * (failures > 0))
