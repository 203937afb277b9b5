"""Random search: every trial trains to the end with the settings that it was drawn with."""

from neuralsde.search.leg import History, Leg, Place
from neuralsde.search.methods.base import SearchMethod
from neuralsde.search.space import Space


class RandomSearch(SearchMethod):
    """Trials that know nothing of each other.

    Reference: Bergstra & Bengio, *Random search for hyper-parameter optimization*, JMLR 2012.
    """

    @property
    def generations(self) -> int:
        return 1

    def share(self, generation: int) -> float:
        return 1.0

    def next_legs(self, space: Space, history: History, trials: int, attempts: int) -> list[Leg]:
        return self.first_legs(space, history, trials, attempts)

    def legs_in_all(self, trials: int, history: History) -> int:
        return trials + sum(one.leg.attempt > 0 for one in history.legs)

    def parents(self, history: History, trials: int) -> set[Place]:
        return set()
