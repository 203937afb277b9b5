"""Predictions without dynamics, and the regression beneath them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor

from neuralsde.evaluation.baselines import baseline_table, condition_psth, shrunk_psth, smoothing
from neuralsde.evaluation.poisson_regression import fit_poisson
from neuralsde.evaluation.scores import score
from neuralsde.evaluation.smoothing import Smoother, smooth


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def tables(recording):
    return baseline_table(recording)


def test_poisson_regression_equals_sklearn(rng):
    x = rng.normal(size=(800, 5)) @ rng.normal(size=(5, 5)) + 1.0
    y = rng.poisson(np.exp(0.4 * x[:, :2] - 1)).astype(float)
    ours = fit_poisson(x, y, ridge=20.0, iterations=200)
    standard = (x - x.mean(0)) / x.std(0)
    for unit in range(2):
        theirs = PoissonRegressor(alpha=20.0 / len(x), tol=1e-10, max_iter=1000).fit(standard, y[:, unit])
        np.testing.assert_allclose(ours(x)[:, unit], theirs.predict(standard), rtol=1e-3)
        np.testing.assert_allclose(ours.weights[:, unit], theirs.coef_ / x.std(0), atol=1e-3)


def test_poisson_regression_survives_a_silent_unit_and_a_constant_input(rng):
    x = np.column_stack([rng.normal(size=300), np.ones(300)])
    rates = fit_poisson(x, np.zeros((300, 1)), ridge=1.0)(x)
    assert np.isfinite(rates).all()
    assert rates.max() < 0.01


def test_smoothing_keeps_constants_and_ignores_missing_bins(rng):
    constant = np.full((2, 30, 3), 1.7)
    constant[0, 10:14] = np.nan
    np.testing.assert_allclose(smooth(constant, 2.5), 1.7)


def test_an_average_without_its_own_bin_does_not_see_it(rng):
    counts = rng.poisson(1.0, (1, 30, 1)).astype(float)
    changed = counts.copy()
    changed[0, 12] += 100
    assert smooth(changed, 2.0, own=0.0)[0, 12] == smooth(counts, 2.0, own=0.0)[0, 12]
    assert smooth(changed, 2.0)[0, 12] > smooth(counts, 2.0)[0, 12] + 10


def test_psth_of_a_condition_is_its_mean_and_others_get_the_overall_mean(rng):
    counts, condition = rng.poisson(2.0, (30, 8, 4)).astype(float), np.repeat([0, 2, -1], 10)
    psth = shrunk_psth(counts, condition, sd_bins=1e-3, pseudo_trials=1e-9)
    predicted = psth(np.array([2, 0, 1, -1, 7]))
    np.testing.assert_allclose(predicted[0], np.maximum(counts[10:20].mean(0), 1e-6))
    np.testing.assert_allclose(predicted[1], np.maximum(counts[:10].mean(0), 1e-6))
    for unseen in predicted[2:]:
        np.testing.assert_allclose(unseen, counts.mean(0))


def test_baselines_predict_rates_they_never_saw(tables, recording):
    truth = score(recording, None, recording.eval.rates)
    for name in ("smoothing", "condition_psth"):
        assert 0.3 * truth["co_bps"] < tables[name]["co_bps"] < truth["co_bps"]
        assert tables[name]["fp_bps"] > 0
        assert tables[name]["rate_r2"] > 0.5
    # Smoothing knows nothing of conditions, and the PSTH has none of the held-out ones.
    smoothed, averaged = (tables[n]["heldout_conditions/rate_r2"] for n in ("smoothing", "condition_psth"))
    assert smoothed > 0.2
    assert averaged < 0.1


def test_a_condition_psth_with_shuffled_conditions_is_nothing(recording, rng, tables):
    shuffled = replace(recording.train, condition=rng.permutation(recording.train.condition))
    rates = condition_psth(replace(recording, train=shuffled))
    assert score(recording, None, rates.eval)["co_bps"] < 0.1 * tables["condition_psth"]["co_bps"]


def test_baselines_never_look_at_the_evaluation_trials(recording):
    blind = replace(recording.eval, heldout=None, heldin_forward=None, heldout_forward=None, rates=None)
    for baseline in (smoothing, condition_psth):
        np.testing.assert_array_equal(baseline(recording).eval, baseline(replace(recording, eval=blind)).eval)


def test_trials_without_conditions_have_no_condition_psth(recording):
    unlabelled = replace(recording, eval=replace(recording.eval, condition=np.full(24, -1)))
    assert condition_psth(unlabelled) is None
    assert set(baseline_table(unlabelled)) == {"smoothing"}


def test_smoothing_predicts_finer_bins_than_it_is_fitted_to(recording):
    """Each bin cut into four: rates per bin are a quarter, wherever the spikes of a bin fell."""

    def finer(counts):
        return np.repeat(counts / 4, 4, axis=1)

    train, spec = recording.train, recording.spec
    names = ("heldin", "heldout", "heldin_forward", "heldout_forward")
    fine = replace(train, **{name: finer(getattr(train, name)) for name in names})
    fine_spec = replace(spec, observed_bins=80, forward_bins=20, bin_width_s=0.005)
    coarse, finest = Smoother(train, spec)(train), Smoother(fine, fine_spec)(fine)
    assert finest.shape == (len(train), 100, 12)
    pooled = finest.reshape(len(train), 25, 4, 12).sum(2)
    assert np.corrcoef(np.log(pooled).ravel(), np.log(coarse).ravel())[0, 1] > 0.97
    assert pooled.mean() == pytest.approx(coarse.mean(), rel=0.02)
