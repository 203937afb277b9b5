"""What every simulated system can be asked for."""

from abc import ABC, abstractmethod

import numpy as np


class AbstractSystem(ABC):
    """A source of true states.

    A subclass sets `n_states`, the size of its state, and `name`, which the record of a run shows.
    """

    n_states: int
    name: str

    @abstractmethod
    def states(self, rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
        """States of new trials, (trial, time, state), float64.

        Args:
            rng: decides starts and noise.
            times: (trial, time), in seconds, increasing from 0, two or more per trial.

        Raises:
            DivergenceError: a solution stopped being finite.
        """
