"""What all methods share: how trials begin."""

from abc import ABC, abstractmethod

from neuralsde.errors import ConfigError
from neuralsde.search.leg import History, Leg, Place
from neuralsde.search.space import Space


class SearchMethod(ABC):
    """A search without a state: it is asked again after each leg, or after a stop, and answers from the history alone.

    The answer may not depend on the order in which legs end, so that neither a kill nor the number of workers changes what
    is trained.
    """

    keeps_shapes = False
    """Whether a trial's settings change while it trains, so that they cannot be of a kind that changes its weights."""

    @property
    @abstractmethod
    def generations(self) -> int:
        """Legs of a trial that trains to the end."""

    @abstractmethod
    def share(self, generation: int) -> float:
        """Share of all epochs that are done when a generation ends."""

    @abstractmethod
    def next_legs(self, space: Space, history: History, trials: int, attempts: int) -> list[Leg]:
        """The legs that can be trained now, the most urgent first; empty where the search is over.

        Args:
            space: what settings are drawn from.
            history: what has been trained.
            trials: number of trials.
            attempts: how often a trial may begin anew when it diverges in its first leg.
        """

    @abstractmethod
    def legs_in_all(self, trials: int, history: History) -> int:
        """How many legs the whole search trains, as far as can be said."""

    @abstractmethod
    def parents(self, history: History, trials: int) -> set[Place]:
        """Trained legs that further ones may go on from."""

    def first_legs(self, space: Space, history: History, trials: int, attempts: int) -> list[Leg]:
        """The first leg of each trial that lacks one; settings that diverged are replaced by others."""
        legs = []
        for trial in range(trials):
            found = history.at(trial, 0)
            attempt = 0 if found is None else found.leg.attempt + 1
            if found is None or (found.failed and attempt < attempts):
                legs.append(Leg(trial, 0, space.drawn(trial, attempt), attempt=attempt))
        return legs


def check_share(key: str, value: object, low: float, high: float) -> None:
    """Raises:
    ConfigError: a number is not between two others.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"search.method.{key} is {value}; give a number from {low:g} to {high:g}.")


def check_whole(key: str, value: object, least: int) -> None:
    """Raises:
    ConfigError: a number is not whole, or too small.
    """
    if type(value) is not int or value < least:
        raise ConfigError(f"search.method.{key} is {value}; give a whole number of at least {least}.")
