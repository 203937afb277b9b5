"""Asynchronous successive halving: few trials train to the end, the others stop at rungs on the way."""

import numpy as np

from neuralsde.search.leg import History, Leg, Place
from neuralsde.search.methods.base import SearchMethod, check_whole
from neuralsde.search.space import Space


class SuccessiveHalving(SearchMethod):
    r"""A trial that comes to a rung goes on if its score reaches the best $1/\eta$ of those that came before it.

    That is the stopping rule of Ray Tune's `ASHAScheduler`, except that "before" is by the numbers of the trials rather than
    by the clock: a trial is judged when all lower ones have come to the rung or stopped below it. Workers need not wait, as
    they train the first legs of others meanwhile, and what is trained does not depend on their number or speed.

    Args:
        rungs: stops, the end included; the first is after $\eta^{1 - \text{rungs}}$ of the epochs.
        factor: $\eta$; each rung lets about one in so many pass.

    Reference: Li et al., *A system for massively parallel hyperparameter tuning*, MLSys 2020, arXiv:1810.05934.
    """

    def __init__(self, rungs: int = 3, factor: int = 3):
        check_whole("rungs", rungs, 2)
        check_whole("factor", factor, 2)
        self.rungs, self.factor = rungs, factor

    @property
    def generations(self) -> int:
        return self.rungs

    def share(self, generation: int) -> float:
        return float(self.factor) ** (generation + 1 - self.rungs)

    def next_legs(self, space: Space, history: History, trials: int, attempts: int) -> list[Leg]:
        legs = self.first_legs(space, history, trials, attempts)
        again = {leg.trial for leg in legs}
        comers = list(range(trials))
        for rung in range(self.rungs - 1):
            comers = self.passed(history, comers, rung, again)
            for trial in comers:
                if history.at(trial, rung + 1) is None:
                    before = history.at(trial, rung)
                    assert before is not None
                    legs.append(Leg(trial, rung + 1, before.leg.settings, before.leg.place))
        return sorted(legs, key=lambda leg: (-leg.generation, leg.trial))

    def passed(self, history: History, comers: list[int], rung: int, again: set[int]) -> list[int]:
        """Those of the trials that come to a rung who go on, as far as it can be said now.

        Args:
            history: what has been trained.
            comers: trials that come to this rung, by number.
            rung: its number.
            again: trials that begin anew.
        """
        passed, merits = [], []
        for trial in comers:
            found = history.at(trial, rung)
            if found is None or trial in again:
                break
            if found.failed:
                continue
            merit = history.merit(found.outcome.score)
            if not merits or merit >= np.percentile(merits, 100 * (1 - 1 / self.factor)):
                passed.append(trial)
            merits.append(merit)
        return passed

    def legs_in_all(self, trials: int, history: History) -> int:
        expected = sum(-(-trials // self.factor**rung) for rung in range(self.rungs))
        return max(expected, len(history.legs))

    def parents(self, history: History, trials: int) -> set[Place]:
        places = {one.leg.place for one in history.legs if not one.failed}
        return {(trial, g) for trial, g in places if g + 1 < self.rungs and (trial, g + 1) not in places}
