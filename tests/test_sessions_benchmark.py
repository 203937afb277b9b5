"""The comparison of joined and single sessions: what is pooled, and what a difference is worth."""

from argparse import Namespace

import numpy as np
import pytest

from benchmarks.sessions import SESSIONS, Said, line, words_of
from neuralsde.metrics import bits_per_spike


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def of_fold(rates, counts):
    """What a model says of a fold's trials (trial, unit), in one bin, the next one beyond the trial's end."""
    beyond = np.full_like(rates, np.nan)
    return Said(np.stack([rates, beyond + 1], 1), np.stack([counts, beyond], 1))


def test_scores_are_pooled_over_folds_and_the_difference_is_theirs(rng):
    truth = rng.gamma(2.0, 1.0, (60, 5))
    counts = rng.poisson(truth)
    better, worse = np.full_like(truth, 2.0) + 0.6 * (truth - 2.0), np.full_like(truth, 2.0)
    folds = np.array_split(np.arange(60), 3)
    found = line({name: [[of_fold(r[f], counts[f]) for f in folds]] for name, r in (("joined", better), ("alone", worse))})
    bits = [bits_per_spike(better[f][:, None], counts[f][:, None]) for f in folds]
    spikes = [counts[f].sum() for f in folds]
    assert found["trials"] == 60
    assert found["joined"] == pytest.approx(np.average(bits, weights=spikes))
    assert found["difference"] == pytest.approx(found["joined"] - found["alone"])
    assert np.average(found["folds"], weights=spikes) == pytest.approx(found["difference"])
    assert found["difference"] > 4 * found["se"] > 0
    pair = line({n: [[of_fold(r[f], counts[f]) for f in folds] for r in (better, worse)] for n in ("joined", "alone")})
    middle = (better + worse) / 2
    bits = [bits_per_spike(middle[f][:, None], counts[f][:, None]) for f in folds]
    assert pair["joined_ensemble"] == pytest.approx(np.average(bits, weights=spikes))
    assert pair["joined"] == pytest.approx((found["joined"] + found["alone"]) / 2)
    same = line({name: [[of_fold(worse[f], counts[f]) for f in folds]] for name in ("joined", "alone")})
    assert same["difference"] == same["se"] == 0  # a model beside itself


def test_the_standard_error_is_the_spread_over_recordings(rng):
    """Over 60 recordings of 80 trials the difference spreads as the bootstrap of one says, within a third."""
    told, found = [], []
    for _ in range(60):
        truth = rng.gamma(2.0, 1.0, (80, 1))
        counts = rng.poisson(truth)
        made = line({n: [[of_fold(r, counts)]] for n, r in (("joined", 0.5 * truth + 1.0), ("alone", 0 * truth + 2.0))})
        told.append(made["se"])
        found.append(made["difference"])
    assert 0.67 < np.mean(told) / np.std(found) < 1.5


def test_a_second_run_goes_on_with_one_session_on_the_same_folds():
    options = Namespace(path="there", folds=5, split_seed=3, joined=["a=1"], alone=["b=2"], tuned=["c=3"], overrides=["d=4"])
    joined, alone = list(SESSIONS), ["mihi_0303"]
    for sessions, own, only in ((joined, "a=1", "data.only=mihi_0303"), (alone, "b=2", "data=miller_mihi_0303")):
        first, second = (words_of(sessions, options, 2, "test", 0, tuned) for tuned in (None, "mihi_0303"))
        assert second[0] == "experiment=langevinflow/miller_tuned" != first[0]
        assert [w for w in second if "fold" in w or "seed" in w] == [w for w in first if "fold" in w or "seed" in w]
        assert only in second
        extras = [{word for word in words if word in {"a=1", "b=2", "c=3", "d=4"}} for words in (first, second)]
        assert extras == [{own, "d=4"}, {"c=3", "d=4"}]
        assert not any(word.startswith("training.steps") for word in second)  # those of `ALONE` are of the first run
