"""Predictions without dynamics, and the regression beneath them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor

from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.simulated import Poisson, SimulatedData, Stochastic
from neuralsde.evaluation.baselines import (
    baseline_table,
    condition_psth,
    linear_interpolation,
    persistence,
    shrunk_psth,
    smoothing,
    training_frequency,
    training_mean,
)
from neuralsde.evaluation.poisson_regression import fit_poisson
from neuralsde.evaluation.scores import score
from neuralsde.evaluation.smoothing import Choice, Smoother, best_choice, kernel_sds, smooth
from neuralsde.sde import OrnsteinUhlenbeck
from neuralsde.solvers import EulerMaruyama


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


def test_rates_beyond_the_counts_that_were_fitted_to_are_cut(rng):
    x = rng.normal(size=(300, 3))
    y = rng.poisson(np.exp(x @ [[0.5], [0.2], [0.0]]))
    fit = fit_poisson(x, y, ridge=1.0)
    assert fit(np.full((1, 3), 50.0)) == y.max()
    assert (fit(x) < y.max()).mean() > 0.9


def test_long_windows_are_smoothed_as_by_one_kernel(rng):
    counts = rng.poisson(1.0, (2, 1700, 3)).astype(float)
    counts[0, 600:640] = np.nan
    for sd, bins in ((3.0, slice(None)), (40.0, slice(-700, None))):
        kernel = np.exp(-0.5 * (np.subtract.outer(np.arange(1700), np.arange(1700)) / sd) ** 2)
        np.fill_diagonal(kernel, 0.3)
        known = ~np.isnan(counts)
        whole = (kernel @ np.where(known, counts, 0)) / (kernel @ known)
        np.testing.assert_allclose(smooth(counts, sd, 0.3, bins), whole[:, bins], rtol=1e-11)


def test_wide_bins_choose_among_wider_kernels():
    assert kernel_sds(0.005) == kernel_sds(0.02) == [0.015, 0.025, 0.04, 0.06, 0.09]
    np.testing.assert_allclose(kernel_sds(0.1), 0.1 * np.array([0.75, 1.25, 2, 3, 4.5]))


def test_a_single_trial_leaves_nothing_to_choose_by(rng):
    counts = rng.poisson(1.0, (1, 50, 4)).astype(float)
    assert best_choice(counts, counts, lambda *_: pytest.fail("nothing to fit"), 1, 0.02) == Choice()


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


def test_interpolation_and_persistence_of_a_hand_made_trial(real_data):
    heldin = np.full((1, 20, 2), np.nan, np.float32)
    heldin[0, [3, 5, 9], 0] = [1.0, 3.0, -1.0]
    times = np.concatenate([np.arange(20), 20 + 2.0 * np.arange(5)])[None].astype(np.float32)
    times[0, 4] = 4.5
    trials = replace(real_data.eval[:1], heldin=heldin, times=times)
    data = replace(real_data, eval=trials)
    mean = training_mean(data).eval[0]
    straight, last = linear_interpolation(data).eval[0], persistence(data).eval[0]
    np.testing.assert_allclose(straight[:10, 0], [1, 1, 1, 1, 2.5, 3, 2, 1, 0, -1], atol=1e-6)  # bin 4 is at 4.5
    np.testing.assert_allclose(straight[10:, 0], -1)
    np.testing.assert_allclose(last[:3, 0], mean[:3, 0])
    np.testing.assert_allclose(last[3:10, 0], [1, 1, 3, 3, 3, 3, -1])
    np.testing.assert_allclose(last[10:, 0], -1)
    for rates in (straight, last):  # a channel never seen, and the held-out one
        np.testing.assert_allclose(rates[:, 1:], mean[:, 1:])


def test_the_training_mean_is_per_bin_or_pooled_where_times_are_irregular(real_data):
    targets = stack_targets(real_data.train, real_data.spec).astype(np.float64)
    np.testing.assert_allclose(training_mean(real_data).eval[7], np.nanmean(targets, axis=0), rtol=1e-5)
    irregular = replace(real_data, spec=replace(real_data.spec, longest_s=2.4))
    pooled = np.nanmean(targets, axis=(0, 1))
    np.testing.assert_allclose(training_mean(irregular).eval[7], np.broadcast_to(pooled, (25, 3)), rtol=1e-5)


def test_the_training_mean_where_nothing_is_known(real_data):
    train = real_data.train
    hidden = train.heldin.copy()
    hidden[:, 4], hidden[..., 1] = np.nan, np.nan
    blank = replace(train, heldin=hidden, heldin_forward=train.heldin_forward * [1.0, np.nan])
    mean = training_mean(replace(real_data, train=blank)).eval[0]
    pooled = np.concatenate([hidden[..., 0], train.heldin_forward[..., 0]], axis=1)
    assert mean[4, 0] == pytest.approx(np.nanmean(pooled), rel=1e-5)  # a bin in which no trial is known
    assert (mean[:, 1] == 0).all()  # a channel that is never known


@pytest.mark.parametrize("kind", ["binary", "category"])
def test_training_frequency_counts_every_class_once_more(label_data, kind):
    data = label_data[kind]
    targets, classes = stack_targets(data.train, data.spec), 3 if kind == "category" else 2
    rates = training_frequency(data).eval[0].reshape(25, 2, -1)
    for t, c in ((0, 0), (11, 1), (24, 0)):
        values = targets[:, t, c][~np.isnan(targets[:, t, c])]
        expected = [(np.count_nonzero(values == k) + 1) / (len(values) + classes) for k in range(classes)]
        np.testing.assert_allclose(rates[t, c], expected if kind == "category" else expected[1:])
    table = baseline_table(data)
    assert set(table) == {"training_frequency"}
    assert table["training_frequency"]["log_loss"] < np.log(classes) + 0.05


def test_baselines_of_real_data_are_ordered_and_blind(real_data):
    table = baseline_table(real_data)
    assert set(table) == {"linear_interpolation", "persistence", "training_mean"}
    errors = [table[name]["missing_rmse"] for name in ("linear_interpolation", "persistence", "training_mean")]
    assert errors == sorted(errors)
    blind = replace(real_data.eval, heldout=None, heldin_forward=None, heldout_forward=None, rates=None, states=None)
    for baseline in (linear_interpolation, persistence, training_mean):
        np.testing.assert_array_equal(baseline(real_data).eval, baseline(replace(real_data, eval=blind)).eval)


def test_smoothing_bears_hidden_bins_and_irregular_times():
    system = Stochastic(OrnsteinUhlenbeck(1.0, 0.0, 1.0), EulerMaruyama(), [0.0, 0.0], 0.7, 4)
    sizes = {"n_train": 80, "n_eval": 20, "observed_bins": 20, "forward_bins": 5, "n_heldout": 3}
    hidden = {"train_drop": 0.3, "eval_drop": 0.3, "irregular": True}
    data = SimulatedData("spikes", 8, system, Poisson(10, 2.0, 0.8), **sizes, **hidden).data
    table = baseline_table(data)
    assert set(table) == {"smoothing"}
    assert table["smoothing"]["co_bps"] > 0
