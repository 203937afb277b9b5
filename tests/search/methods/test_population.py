"""Population based training: who takes over from whom, by hand and by laws that hold in any search."""

import math

import pytest

from neuralsde.errors import ConfigError
from neuralsde.search.leg import History, Leg, Trained
from neuralsde.search.methods import PopulationBasedTraining
from tests.search.helpers import SPACE, facts, outcome, played


def toy(leg):
    """Best where both settings are 0.7; better with each generation."""
    return leg.generation - sum((value - 0.7) ** 2 for value in leg.settings.values())


def generation(scores, higher=True):
    """A generation of trials with these scores, and the legs that follow it."""
    settings = [{"a": 0.1 * trial, "b": 0.5} for trial in range(len(scores))]
    before = [Trained(Leg(trial, 0, settings[trial]), outcome(score)) for trial, score in enumerate(scores)]
    method = PopulationBasedTraining(generations=2, quantile=0.25, resample=0.0)
    return before, method.evolve(SPACE, History(higher, before), before, 1)


def test_the_worst_quarter_goes_on_from_the_best_quarter_with_perturbed_settings():
    before, legs = generation([0.3, 0.9, 0.1, 0.5, 0.8, 0.2, 0.6, 0.4])
    best, worst = {1, 4}, {2, 5}
    for leg in legs:
        if leg.trial not in worst:
            assert (leg.parent, leg.settings) == ((leg.trial, 0), before[leg.trial].leg.settings)
            continue
        assert leg.parent is not None
        assert leg.parent[0] in best
        assert leg.inherits
        parent = before[leg.parent[0]].leg.settings
        ratios = {round(leg.settings[key] / parent[key], 6) for key in parent}
        assert ratios <= {0.8, 1.2}


def test_where_lower_is_better_the_highest_are_replaced():
    _, legs = generation([0.3, 0.9, 0.1, 0.5, 0.8, 0.2, 0.6, 0.4], higher=False)
    assert {leg.trial for leg in legs if leg.inherits} == {1, 4}


@pytest.mark.parametrize(("scores", "replaced"), [([math.nan, 0.5, 0.4, 0.3], {0, 3}), ([math.nan] * 3 + [0.3], {0, 1, 2})])
def test_trials_that_diverged_are_replaced_however_many(scores, replaced):
    _, legs = generation(scores)
    assert {leg.trial for leg in legs if leg.inherits} == replaced
    assert not any(math.isnan(scores[leg.parent[0]]) for leg in legs)


def test_settings_that_diverge_at_once_are_drawn_anew_and_given_up_in_the_end():
    method = PopulationBasedTraining(generations=2)
    history = played(method, lambda leg: math.nan if leg.trial == 0 and leg.generation == 0 else toy(leg), trials=4)
    attempts = [one.leg for one in history.legs if one.leg.trial == 0 and one.leg.generation == 0]
    assert [leg.attempt for leg in attempts] == [0, 1]  # of two that the helper allows
    assert attempts[0].settings != attempts[1].settings
    successor = history.at(0, 1)
    assert successor is not None
    assert successor.leg.inherits
    assert not method.next_legs(SPACE, played(method, lambda leg: math.nan, trials=4), 4, 2)  # all failed: over


@pytest.mark.parametrize("workers", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 8))])
def test_neither_the_number_of_workers_nor_their_speed_changes_what_is_trained(workers):
    method = PopulationBasedTraining(generations=5)
    alone = facts(played(method, toy))
    assert len(alone) == 40
    for seed in range(3):
        assert facts(played(method, toy, workers=workers, seed=seed)) == alone


def test_any_part_of_a_history_leads_to_the_same_search():
    method = PopulationBasedTraining(generations=4)
    whole = played(method, toy)
    for done in (0, 3, 8, 13, 31):
        history = History(True, whole.legs[:done])
        while legs := method.next_legs(SPACE, history, 8, 2):
            history.add(Trained(legs[-1], outcome(toy(legs[-1]))))
        assert facts(history) == facts(whole)


@pytest.mark.slow
def test_the_population_gathers_where_the_score_is_high():
    history = played(PopulationBasedTraining(generations=12), toy)
    errors = [
        [sum((v - 0.7) ** 2 for v in one.leg.settings.values()) for one in history.legs if one.leg.generation == g]
        for g in (0, 11)
    ]
    assert sum(errors[1]) < 0.3 * sum(errors[0])


def test_what_may_be_gone_on_from_is_kept():
    method, history = PopulationBasedTraining(generations=3), History(True)
    while legs := method.next_legs(SPACE, history, 4, 2):
        kept = method.parents(history, 4)
        assert all(leg.parent is None or leg.parent in kept for leg in legs)
        history.add(Trained(legs[0], outcome(toy(legs[0]))))
    assert method.parents(history, 4) == set()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"generations": 1}, r"search\.method\.generations is 1; give a whole number of at least 2"),
        ({"quantile": 0.6}, r"search\.method\.quantile is 0\.6; give a number from 0 to 0\.5"),
        ({"resample": 1.5}, r"search\.method\.resample is 1\.5; give a number from 0 to 1"),
        ({"factors": [0.8, -1]}, r"search\.method\.factors is \[0\.8, -1\]; give positive numbers"),
    ],
)
def test_impossible_settings_are_refused(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        PopulationBasedTraining(**settings)
