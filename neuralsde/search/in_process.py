"""One leg after another in this process: no Ray, the same search."""

from neuralsde.search.driver import Search
from neuralsde.search.train_leg import train_leg


def train_in_process(search: Search) -> None:
    """Train all legs of a search.

    Raises:
        NeuralSDEError: something failed that is no matter of a trial's settings.
    """
    while legs := search.due():
        search.finish(train_leg(search.start(legs[0])))
