"""Which legs of training come next, as pure functions of the legs that have been trained."""

from neuralsde.search.methods.base import SearchMethod
from neuralsde.search.methods.halving import SuccessiveHalving
from neuralsde.search.methods.population import PopulationBasedTraining
from neuralsde.search.methods.random_search import RandomSearch

__all__ = ["PopulationBasedTraining", "RandomSearch", "SearchMethod", "SuccessiveHalving"]
