"""The order of a search as a `Searcher` of Ray Tune; imported where Ray is there."""

import json
from typing import Any

from ray.tune.search import Searcher

from neuralsde.errors import NeuralSDEError
from neuralsde.search.driver import Search
from neuralsde.search.leg import Trained
from neuralsde.search.on_ray import METRIC


class LegSearcher(Searcher):
    """Suggests the legs that are due, and takes in what came of them.

    Args:
        search: the search.
    """

    def __init__(self, search: Search):
        super().__init__(metric=METRIC, mode="max")
        self.search = search
        self.stopped: NeuralSDEError | None = None

    def suggest(self, trial_id: str) -> Any:
        legs = [] if self.stopped else self.search.due()
        if legs:
            return {"job": self.search.start(legs[0])}
        return None if self.search.running and not self.stopped else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if error or result is None:
            died = NeuralSDEError("A worker of the search died again and again: see whether its memory is full.")
            self.stopped = self.stopped or died
        elif result["stopped"] is not None:
            self.stopped = NeuralSDEError(f"{result['stopped']} Mend it and start the search again, which goes on.")
        else:
            self.take(Trained.of(json.loads(result["trained"])))

    def take(self, trained: Trained) -> None:
        """Let the search go on with what came of a leg; what ends it is told when Tune has put its workers away."""
        try:
            self.search.finish(trained)
        except NeuralSDEError as sentence:
            self.stopped = sentence

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune stores its searcher, but the search's folder is its memory

    def save(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""
