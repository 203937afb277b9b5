"""Searches without training: a leg's score is a function of its settings."""

import math
from collections.abc import Callable

import numpy as np

from neuralsde.search.laws import LAWS
from neuralsde.search.leg import History, Leg, Outcome, Trained
from neuralsde.search.methods import SearchMethod
from neuralsde.search.space import Space

SPACE = Space({name: LAWS["uniform"]([0.0, 1.0], name, "uniform") for name in ("a", "b")}, seed=0)


def outcome(score: float) -> Outcome:
    return Outcome(score, score, 1.0, None if math.isfinite(score) else "it diverged")


def played(
    method: SearchMethod,
    score: Callable[[Leg], float],
    trials: int = 8,
    workers: int = 1,
    seed: int = 0,
    higher: bool = True,
) -> History:
    """A whole search by `workers` that end their legs in random order."""
    history, rng, running = History(higher), np.random.default_rng(seed), []
    while True:
        legs = [leg for leg in method.next_legs(SPACE, history, trials, 2) if leg not in running]
        running += legs[: workers - len(running)]
        if not running:
            return history
        leg = running.pop(int(rng.integers(len(running))))
        history.add(Trained(leg, outcome(score(leg))))


def facts(history: History) -> list[tuple[Leg, float]]:
    """What was trained and what came of it, in an order of its own."""
    legs = sorted(history.legs, key=lambda one: (one.leg.place, one.leg.attempt))
    return [(one.leg, one.outcome.score) for one in legs if not one.failed]
