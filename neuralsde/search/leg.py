"""A leg: one trial's training from one stop to the next."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from neuralsde.search.space import Settings

Place = tuple[int, int]
"""A trial and a generation, both from 0."""


@dataclass(frozen=True)
class Leg:
    """What is to be trained.

    Args:
        trial: number of the trial, from 0.
        generation: number of the stop that it leads to, from 0.
        settings: values of the searched settings.
        parent: the leg whose weights and optimizer it goes on with; None for a new model.
        attempt: how often a model of this trial had diverged from its start.
    """

    trial: int
    generation: int
    settings: Settings
    parent: Place | None = None
    attempt: int = 0

    @property
    def place(self) -> Place:
        return self.trial, self.generation

    @property
    def folder(self) -> str:
        """Where it is trained, below the search's folder."""
        again = f"_{self.attempt}" if self.attempt else ""
        return f"trials/trial_{self.trial:03}/generation_{self.generation:03}{again}"

    @property
    def inherits(self) -> bool:
        """Whether it goes on from another trial's model."""
        return self.parent is not None and self.parent[0] != self.trial


@dataclass(frozen=True)
class Outcome:
    """What came of a leg.

    Args:
        score: at its last validation, of the weights that the next leg goes on with; NaN where it failed.
        best: the best one of its validations, of the weights in its `best.ckpt`.
        seconds: how long it took.
        failure: why it failed, or None.
    """

    score: float
    best: float
    seconds: float
    failure: str | None = None


@dataclass(frozen=True)
class Trained:
    """A leg and what came of it."""

    leg: Leg
    outcome: Outcome

    @property
    def failed(self) -> bool:
        return self.outcome.failure is not None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        outcome = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self.outcome).items()}
        return {**asdict(self.leg), **outcome}

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Trained":
        """From what `as_dict` gave.

        Raises:
            KeyError: something is missing.
            TypeError: something is of another kind.
        """
        parent = None if values["parent"] is None else (int(values["parent"][0]), int(values["parent"][1]))
        leg = Leg(values["trial"], values["generation"], dict(values["settings"]), parent, values["attempt"])
        score, best = (math.nan if values[key] is None else float(values[key]) for key in ("score", "best"))
        return cls(leg, Outcome(score, best, float(values["seconds"]), values["failure"]))


class History:
    """The legs that have been trained.

    Args:
        higher: whether a higher score is better.
        legs: in any order.
    """

    def __init__(self, higher: bool, legs: list[Trained] | None = None):
        self.higher = higher
        self.legs: list[Trained] = []
        self._last: dict[Place, Trained] = {}
        for one in legs or ():
            self.add(one)

    def add(self, trained: Trained) -> None:
        """Take in a leg."""
        self.legs.append(trained)
        before = self._last.get(trained.leg.place)
        if before is None or before.leg.attempt < trained.leg.attempt:
            self._last[trained.leg.place] = trained

    def at(self, trial: int, generation: int) -> Trained | None:
        """The last attempt at a leg, failed or not."""
        return self._last.get((trial, generation))

    def merit(self, score: float) -> float:
        """A number that is higher where the score is better."""
        return score if self.higher else -score

    def ranking(self) -> list[Trained]:
        """The best leg of each trial that has one, the best trial first; of equals the lower number."""
        finished = [one for one in self.legs if not one.failed]
        order = sorted(finished, key=lambda one: (-self.merit(one.outcome.best), one.leg.place))
        best: dict[int, Trained] = {}
        for one in order:
            best.setdefault(one.leg.trial, one)
        return list(best.values())

    def lineage(self, last: Trained) -> list[Trained]:
        """The legs that led to `last`, the first one first."""
        chain = [last]
        while (parent := chain[0].leg.parent) is not None:
            before = self.at(*parent)
            assert before is not None
            chain.insert(0, before)
        return chain
