"""Hyperparameter search: population based training, successive halving and random search.

    laws, space      which values a setting may take, drawn and perturbed by seeded functions
    methods/         pure functions of what has been trained: which legs of training come next
    leg, train_leg   a leg is one trial's training from one stop to the next, in a folder of its own
    ledger           what has been trained, read from the search's folder
    in_process, on_ray      where legs are trained
    winner           the best trial as a run like any other

`neuralsde search …` or `python -m neuralsde.search …`; docs/search.md.
"""

from neuralsde.search.methods import PopulationBasedTraining, RandomSearch, SearchMethod, SuccessiveHalving

__all__ = ["PopulationBasedTraining", "RandomSearch", "SearchMethod", "SuccessiveHalving"]
