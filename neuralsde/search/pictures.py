"""Pictures of a search, from what its legs say."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from neuralsde.plots.search import Line, search_scores, search_settings
from neuralsde.search.laws import Choice, LogUniform
from neuralsde.search.leg import History, Trained
from neuralsde.search.settings import Prepared


def search_figures(prepared: Prepared, history: History, lineage: Sequence[Trained]) -> dict[str, Figure]:
    """Scores, and the schedules of the settings that numbers describe, over epochs.

    Args:
        prepared: the search.
        history: what has been trained.
        lineage: the legs that led to the winner.
    """
    searched, best = prepared.searched, lineage[-1].leg.trial
    trials = {number: legs_of(history, number) for number in sorted({one.leg.trial for one in history.legs if not one.failed})}
    stops = searched.stops
    scores = {n: scores_of(legs, stops) for n, legs in trials.items()}
    numeric = [key for key, law in prepared.space.laws.items() if not isinstance(law, Choice) or are_numbers(law)]
    lines = {key: {n: schedule(legs, key, stops) for n, legs in trials.items()} for key in numeric}
    log = [key for key, law in prepared.space.laws.items() if isinstance(law, LogUniform)]
    figures = {"search_scores": search_scores(scores, best, searched.monitor, searched.higher)}
    if numeric:
        figures["search_settings"] = search_settings(lines, [schedule(lineage, key, stops) for key in numeric], log)
    return figures


def legs_of(history: History, trial: int) -> list[Trained]:
    """The legs of a trial that did not fail, in order."""
    own = [one for one in history.legs if one.leg.trial == trial and not one.failed]
    return sorted(own, key=lambda one: one.leg.generation)


def scores_of(legs: Sequence[Trained], stops: Sequence[int]) -> Line:
    """Scores at the stops of a trial."""
    return [stops[one.leg.generation] for one in legs], [one.outcome.score for one in legs]


def schedule(legs: Sequence[Trained], key: str, stops: Sequence[int]) -> Line:
    """Values of a setting, each from where its leg began to where it ended."""
    epochs, values = [], []
    for one in legs:
        begin = stops[one.leg.generation - 1] if one.leg.generation else 0
        epochs += [begin, stops[one.leg.generation]]
        values += [one.leg.settings[key]] * 2
    return epochs, values


def are_numbers(law: Choice) -> bool:
    """Whether the choices can be put on an axis."""
    return all(isinstance(value, int | float) for value in law.values)
