"""Successive halving: the same decisions as Ray Tune's, whatever the workers do."""

import math
from unittest.mock import Mock

import numpy as np
import pytest

from neuralsde.search.leg import History, Trained
from neuralsde.search.methods import RandomSearch, SuccessiveHalving
from tests.search.helpers import SPACE, facts, outcome, played

SCORES = np.random.default_rng(3).normal(size=(27, 3))


def toy(leg):
    return SCORES[leg.trial, leg.generation]


def test_decisions_are_those_of_ray_tune_where_trials_come_in_the_order_of_their_numbers():
    schedulers = pytest.importorskip("ray.tune.schedulers", reason="ray is not installed")
    judge = schedulers.ASHAScheduler(metric="score", mode="max", grace_period=1, max_t=100, reduction_factor=3)
    history = played(SuccessiveHalving(rungs=3, factor=3), toy, trials=27)
    for rung, iteration in ((0, 1), (1, 3)):
        for trial in range(27):
            if history.at(trial, rung) is None:
                continue
            known = Mock(trial_id=str(trial))
            if rung == 0:
                judge.on_trial_add(None, known)
            result = {"training_iteration": iteration, "score": SCORES[trial, rung]}
            goes_on = judge.on_trial_result(None, known, result) == "CONTINUE"
            assert goes_on == (history.at(trial, rung + 1) is not None), (rung, trial)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 5, 27])
def test_neither_the_number_of_workers_nor_their_speed_changes_what_is_trained(workers):
    method = SuccessiveHalving(rungs=3, factor=3)
    alone = facts(played(method, toy, trials=27))
    assert 27 < len(alone) < 81
    for seed in range(3):
        assert facts(played(method, toy, trials=27, workers=workers, seed=seed)) == alone


def test_workers_need_not_wait_for_a_rung_to_fill():
    method, history = SuccessiveHalving(rungs=2, factor=2), History(True)
    history.add(Trained(method.next_legs(SPACE, history, 8, 1)[0], outcome(1.0)))
    assert method.next_legs(SPACE, history, 8, 1)[0].place == (0, 1)


def test_a_trial_that_diverges_stops_and_does_not_count():
    history = played(SuccessiveHalving(rungs=2, factor=2), lambda leg: math.nan if leg.trial == 0 else 1.0, trials=3)
    assert history.at(0, 1) is None
    assert history.at(1, 1) is not None


def test_rungs_are_powers_of_the_factor():
    method = SuccessiveHalving(rungs=3, factor=4)
    assert [method.share(rung) for rung in range(3)] == [1 / 16, 1 / 4, 1]


def test_what_may_be_gone_on_from_is_kept():
    method, history = SuccessiveHalving(rungs=3, factor=3), History(True)
    while legs := method.next_legs(SPACE, history, 9, 1):
        kept = method.parents(history, 9)
        assert all(leg.parent is None or leg.parent in kept for leg in legs)
        history.add(Trained(legs[-1], outcome(toy(legs[-1]))))


def test_random_search_trains_each_trial_once():
    history = played(RandomSearch(), toy, trials=5)
    assert [leg.place for leg, _ in facts(history)] == [(trial, 0) for trial in range(5)]
    assert [leg.settings for leg, _ in facts(history)] == [SPACE.drawn(trial, 0) for trial in range(5)]
