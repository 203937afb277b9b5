"""A search on its way: which legs are due, what has been trained, and what is written after each leg."""

from typing import Any

from omegaconf import OmegaConf

from neuralsde.errors import DivergenceError
from neuralsde.search.ledger import prune, read_legs, sweep, write_summary
from neuralsde.search.leg import History, Leg, Trained
from neuralsde.search.progress import SearchProgress
from neuralsde.search.settings import Prepared
from neuralsde.search.train_leg import Job


class Search:
    """Hands out legs and takes in what came of them. Where they are trained is another's matter.

    Args:
        prepared: what was checked.
        progress: where it is shown.
    """

    def __init__(self, prepared: Prepared, progress: SearchProgress):
        self.prepared, self.progress = prepared, progress
        sweep(prepared.folder)
        self.history = History(prepared.searched.higher, read_legs(prepared.folder))
        self.running: set[str] = set()
        self.plain: Any = OmegaConf.to_container(prepared.config, resolve=False)
        self.write()

    def due(self) -> list[Leg]:
        """Legs that can be trained now, those that are being trained left out; the most urgent first."""
        settings = self.prepared.config.search
        legs = self.prepared.method.next_legs(self.prepared.space, self.history, settings.n_trials, settings.attempts)
        return [leg for leg in legs if leg.folder not in self.running]

    def start(self, leg: Leg) -> Job:
        """What it takes to train a leg that is due."""
        self.running.add(leg.folder)
        parent = None if leg.parent is None else self.history.at(*leg.parent)
        parent_folder = None if parent is None else str(self.prepared.folder / parent.leg.folder)
        return Job(self.plain, str(self.prepared.folder), leg, parent_folder, self.prepared.searched)

    def finish(self, trained: Trained) -> None:
        """Take in what came of a leg.

        Raises:
            DivergenceError: all trials have failed.
        """
        self.running.discard(trained.leg.folder)
        self.history.add(trained)
        settings, method = self.prepared.config.search, self.prepared.method
        prune(self.prepared.folder, self.history, method.parents(self.history, settings.n_trials))
        self.write()
        self.progress.show(self.history, method.legs_in_all(settings.n_trials, self.history))
        if trained.failed and not self.running and not self.due() and not self.history.ranking():
            raise DivergenceError(
                f"All {settings.n_trials} trials failed, the last one since: {trained.outcome.failure} Narrow search.space, or "
                "train one run of these settings first."
            )

    def write(self) -> None:
        """Write `search.json` and the table."""
        prepared = self.prepared
        facts = {
            "method": prepared.config.search.method._target_.rpartition(".")[2],
            "monitor": prepared.searched.monitor,
            "weights": prepared.searched.weights,
            "stops": list(prepared.searched.stops),
            "n_trials": prepared.config.search.n_trials,
            "seed": prepared.config.seed,
            "finished": bool(self.history.legs) and not self.running and not self.due(),
        }
        write_summary(prepared.folder, self.history, facts)
