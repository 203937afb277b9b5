"""Scores against nlb_tools' own evaluation, and against what is known without it."""

import numpy as np
import pytest
import sklearn.metrics
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics import (
    accuracy,
    angle_error,
    auroc,
    bits_per_spike,
    calibration_error,
    coverage,
    crps,
    decoded_angle_error,
    gaussian_crps,
    gaussian_nll,
    knn_kl,
    log_loss,
    poisson_nll,
    pooled_r2,
    psth_r2,
    rate_r2,
    rmse,
    state_r2,
    tp_corr,
    vel_r2,
)
from neuralsde.metrics.conditions import shifted
from neuralsde.metrics.decoding import ALPHAS, best_alpha
from neuralsde.metrics.labels import indicators

N_TRIALS, N_BINS, N_UNITS = 40, 25, 7


@pytest.fixture
def nlb():
    return pytest.importorskip("nlb_tools.evaluation", reason="nlb_tools is not installed")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def rates(rng):
    rates = rng.gamma(2.0, 0.2, (N_TRIALS, N_BINS, N_UNITS))
    rates[3, 4, 5] = 0.0  # the benchmark reads it as 1e-9
    return rates


@pytest.fixture
def counts(rng, rates):
    counts = rng.poisson(rates).astype(float)
    counts[:5, -6:] = np.nan  # the end of some trials was not recorded
    return counts


def close(a, b):
    return a == pytest.approx(b, abs=1e-9, rel=1e-12)


def test_poisson_nll_equals_nlb(nlb, rates, counts):
    assert close(poisson_nll(rates, counts), nlb.neg_log_likelihood(rates.copy(), counts))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_per_spike_equals_nlb(nlb, rates, counts, dtype):
    expected = nlb.bits_per_spike(rates.astype(dtype).astype(float), counts)
    assert close(bits_per_spike(rates.astype(dtype), counts.astype(np.float32)), expected)


def test_scores_leave_the_callers_arrays_alone(rates, counts):
    kept = rates.copy(), counts.copy()
    bits_per_spike(rates, counts)
    np.testing.assert_array_equal(rates, kept[0])
    np.testing.assert_array_equal(counts, kept[1])


def test_bits_per_spike_of_true_rates_beat_the_null_and_hertz_do_not(rng, rates, counts):
    null = np.broadcast_to(np.nanmean(counts, axis=(0, 1)), rates.shape)
    assert bits_per_spike(null, counts) == pytest.approx(0, abs=1e-12)
    assert bits_per_spike(rates, counts) > 0.1
    assert bits_per_spike(rates / 0.02, counts) < -10


def test_a_constant_fitted_elsewhere_scores_below_the_null(rng, rates, counts):
    other = rng.poisson(rates).mean((0, 1))
    assert bits_per_spike(np.broadcast_to(other, rates.shape), counts) < 0


@pytest.fixture
def velocity(rng, rates):
    velocity = rates @ rng.normal(size=(N_UNITS, 2)) + 0.3 * rng.normal(size=(N_TRIALS, N_BINS, 2))
    velocity[::7, :3] = np.nan
    return velocity


@pytest.mark.parametrize("n_decoders", [0, 2])
def test_vel_r2_equals_nlb(nlb, rng, rates, velocity, n_decoders):
    passive = rng.random(N_TRIALS) < 0.5
    mask = np.stack([~passive, passive], 1) if n_decoders else None
    half = slice(None, 20), slice(20, None)
    nlb_mask = np.ones((N_TRIALS, 1), bool) if mask is None else mask
    a, b = half
    expected = nlb.velocity_decoding(rates[a], velocity[a], nlb_mask[a], rates[b], velocity[b], nlb_mask[b])
    masks = () if mask is None else (mask[a], mask[b])
    assert close(vel_r2(rates[a], velocity[a], rates[b], velocity[b], *masks), expected)
    assert expected > 0.5


@pytest.mark.parametrize("noise", [0.01, 3.0, 100.0])
def test_the_search_for_a_penalty_equals_sklearns(rng, rates, noise):
    x = rates.reshape(-1, N_UNITS) * 0.05
    y = x @ rng.normal(size=(N_UNITS, 2)) + 0.05 * noise * rng.normal(size=(len(x), 2))
    assert best_alpha(x, y) == GridSearchCV(Ridge(), {"alpha": ALPHAS}).fit(x, y).best_params_["alpha"]


def test_vel_r2_of_shuffled_rates_is_nothing(rng, rates, velocity):
    assert vel_r2(rng.permutation(rates), velocity, rates, velocity) < 0.1


@pytest.mark.parametrize("with_jitter", [False, True])
def test_psth_r2_equals_nlb(nlb, rng, rates, with_jitter):
    condition = rng.integers(-1, 4, N_TRIALS)
    psth = np.stack([rates[condition == c].mean(0) for c in range(4)] + [np.ones((N_BINS, N_UNITS))])
    psth += 0.1 * rng.normal(size=psth.shape)
    psth[:, :6] = np.nan
    jitter = rng.integers(0, 6, N_TRIALS) if with_jitter else None
    index = [np.flatnonzero(condition == c) for c in range(len(psth))]
    expected = nlb.eval_psth(psth, rates, index, jitter=jitter)
    assert close(psth_r2(psth, rates, condition, jitter), expected)


@pytest.mark.parametrize("bins", [-2, 0, 3])
def test_shifting_back_and_forth_keeps_what_stays_inside(rates, bins):
    inside = shifted(shifted(rates[0], bins), -bins)
    known = ~np.isnan(inside)
    assert known.sum() == (N_BINS - abs(bins)) * N_UNITS
    np.testing.assert_array_equal(inside[known], rates[0][known])


@pytest.fixture
def timing(rng):
    conditions = rng.integers(0, 2, (N_TRIALS, 3)).astype(float)
    behavior = np.column_stack([conditions, rng.choice([500, 800], N_TRIALS), rng.normal(700, 80, N_TRIALS)])
    behavior[5] = np.nan  # an outlier
    return behavior


def test_tp_corr_equals_nlb(nlb, rates, counts, timing):
    assert close(tp_corr(rates, counts, timing), nlb.speed_tp_correlation(counts, rates, timing))


def test_tp_corr_is_minus_one_where_speed_sets_the_time(rng, timing):
    step = 1.0 - timing[:, -1] / 1000
    rates = 1 + np.nan_to_num(step)[:, None, None] * np.arange(N_BINS)[None, :, None] * np.ones((1, 1, N_UNITS))
    assert tp_corr(rates, np.zeros_like(rates), timing) == pytest.approx(-1)
    assert tp_corr(rng.permutation(rates), np.zeros_like(rates), timing) > -0.8


def test_rate_r2_of_a_noisy_log_rate_is_one_minus_its_share_of_variance(rng):
    true = rng.normal(0, [0.5, 2.0], (4000, 10, 2))
    noisy = true + rng.normal(0, 0.4, true.shape)
    r2 = rate_r2(np.exp(noisy), np.exp(true))
    # 80 000 draws: the standard error of either figure is below .004.
    assert r2.pooled == pytest.approx(1 - 2 * 0.16 / (0.25 + 4.0), abs=0.01)
    assert r2.uniform == pytest.approx(1 - (0.16 / 0.25 + 0.16 / 4.0) / 2, abs=0.02)


def test_rate_r2_gives_no_credit_for_mean_rates(rng):
    true = np.exp(rng.normal([-4.0, 0.0, 3.0], 0.5, (500, 10, 3)))
    means = np.broadcast_to(np.exp(np.log(true).mean((0, 1))), true.shape)
    assert rate_r2(means, true) == pytest.approx((0, 0), abs=1e-12)


def test_rate_r2_floors_a_rate_of_zero(rng):
    true = np.exp(rng.normal(size=(50, 10, 3)))
    zeroed = true.copy()
    zeroed[0, 0, 0] = 0.0
    floored = true.copy()
    floored[0, 0, 0] = 1e-6
    assert rate_r2(zeroed, true) == rate_r2(floored, true)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda r: r[:, :-1], r"shape \(40, 24, 7\), but \(40, 25, 7\)"),
        (lambda r: np.where(r > 1, np.nan, r), "NaN or infinite"),
        (lambda r: r - 0.2, "negative"),
    ],
)
def test_bad_rates_are_refused_in_a_sentence(rates, counts, spoil, sentence):
    with pytest.raises(NeuralSDEError, match=sentence):
        bits_per_spike(spoil(rates), counts)


def test_scores_without_material_are_refused_in_a_sentence(rates, velocity, timing):
    with pytest.raises(NeuralSDEError, match="hold none"):
        bits_per_spike(rates, np.zeros_like(rates))
    with pytest.raises(NeuralSDEError, match="needs 5 bins with behaviour"):
        vel_r2(rates, velocity * np.nan, rates, velocity)
    with pytest.raises(NeuralSDEError, match="None of the 40 trials"):
        psth_r2(np.ones((2, N_BINS, N_UNITS)), rates, np.full(N_TRIALS, -1))
    with pytest.raises(NeuralSDEError, match="two trials of one condition"):
        tp_corr(rates, rates, timing * np.nan)
    with pytest.raises(NeuralSDEError, match="never vary"):
        rate_r2(rates, np.ones_like(rates))


def test_pooled_r2_and_rmse_equal_brute_force(rng):
    truth = rng.normal([0.0, 50.0, -3.0], [1.0, 5.0, 0.1], (20, 8, 3))
    truth[2:5, 3, 1] = np.nan
    predicted = truth + 0.5 * rng.normal(size=truth.shape)
    predicted[2, 3, 1] = np.nan  # where nothing is known, nothing is asked
    residual = total = n = 0
    for channel in range(3):
        known = ~np.isnan(truth[..., channel])
        y, f = truth[..., channel][known], predicted[..., channel][known]
        residual, total, n = residual + ((y - f) ** 2).sum(), total + ((y - y.mean()) ** 2).sum(), n + len(y)
    assert close(pooled_r2(predicted, truth), 1 - residual / total)
    assert close(rmse(predicted, truth), np.sqrt(residual / n))
    means = np.broadcast_to(np.nanmean(truth, axis=(0, 1)), truth.shape)
    assert pooled_r2(means, truth) == pytest.approx(0, abs=1e-12)


def test_state_r2_equals_sklearn_and_allows_for_affine_coordinates(rng):
    states = [rng.normal([0.0, 9.0], [1.0, 4.0], (n, 10, 2)) for n in (30, 12)]
    latents = [np.concatenate([s @ [[1.0, 2.0], [0.5, -1.0]] + 7, rng.normal(size=s.shape)], -1) for s in states]
    assert state_r2(latents[0], states[0], latents[1], states[1]) == pytest.approx(1)
    noisy = [z + 2 * rng.normal(size=z.shape) for z in latents]
    rows = [[a.reshape(-1, a.shape[-1]) for a in pair] for pair in (noisy, states)]
    predicted = LinearRegression().fit(rows[0][0], rows[1][0]).predict(rows[0][1])
    expected = r2_score(rows[1][1], predicted, multioutput="variance_weighted")
    assert close(state_r2(noisy[0], states[0], noisy[1], states[1]), expected)
    assert state_r2(rng.permutation(noisy[0]), states[0], noisy[1], states[1]) < 0.1


@pytest.mark.parametrize("n_classes", [0, 4])
def test_scores_of_labels_equal_sklearn(rng, n_classes):
    chances = rng.dirichlet(np.ones(n_classes or 2), (30, 7, 3))
    targets = rng.integers(0, n_classes or 2, (30, 7, 3)).astype(float)
    targets[:4, 2] = np.nan
    known = ~np.isnan(targets)
    rows, labels = chances[known], targets[known]
    given = chances.reshape(30, 7, -1) if n_classes else chances[..., 1]
    expected = sklearn.metrics.log_loss(labels, rows, labels=range(rows.shape[1]))
    assert log_loss(given, targets, n_classes) == pytest.approx(expected)
    assert accuracy(given, targets, n_classes) == pytest.approx((rows.argmax(1) == labels).mean())
    coarse = np.round(given, 1) if not n_classes else given  # ties count a half
    area = sklearn.metrics.roc_auc_score(labels, rows if n_classes else coarse[known[..., :]], multi_class="ovr")
    assert auroc(coarse, targets, n_classes) == pytest.approx(area)
    assert np.isnan(auroc(given, np.where(known, 1.0, np.nan), n_classes))


def test_calibration_error_is_that_of_each_tenth_of_confidence(rng):
    chance = rng.uniform(size=(20_000, 1, 1))
    honest = (rng.uniform(size=chance.shape) < chance).astype(float)
    assert calibration_error(chance, honest) < 0.02
    bold = np.clip(1.5 * chance - 0.25, 0, 1)  # the control: overconfident
    confidence, right = np.maximum(bold, 1 - bold).ravel(), ((bold > 0.5) == honest).ravel()
    tenth = np.minimum(np.floor(confidence * 10), 9)
    gaps = [abs(right[tenth == k].mean() - confidence[tenth == k].mean()) * (tenth == k).mean() for k in range(5, 10)]
    assert calibration_error(bold, honest) == pytest.approx(sum(gaps))
    assert sum(gaps) > 0.06


def test_a_certain_error_costs_much_but_not_everything():
    assert log_loss(np.ones((1, 1, 1)), np.zeros((1, 1, 1))) == pytest.approx(-np.log(1e-7))


def test_indicators_mark_the_class():
    marks = indicators(np.array([[[2.0, np.nan]]]), 3)
    np.testing.assert_array_equal(marks, [[[0, 0, 1, np.nan, np.nan, np.nan]]])


def test_crps_equals_brute_force(rng):
    x, y = rng.normal(size=(9, 4, 3, 2)), rng.normal(size=(4, 3, 2))
    y[1, 2] = np.nan
    first, pairs = np.abs(x - y).mean(0), np.abs(x[:, None] - x).mean((0, 1))
    assert close(crps(x, y), np.nanmean(first - pairs / 2))
    assert close(crps(x[:1], y), np.nanmean(np.abs(x[0] - y)))


def test_crps_of_gaussian_samples_is_the_closed_form(rng):
    y = rng.normal(size=400)
    x = rng.normal(size=(2000, 400))
    # 400 scores, each with a standard error of about .02; the bias of 2000 samples is .0003.
    bound = 6 * 0.02 / np.sqrt(400)
    assert abs(crps(x, y) - gaussian_crps(0 * y, 0 * y + 1, y)) < bound
    assert abs(crps(1.5 * x, y) - gaussian_crps(0 * y, 0 * y + 1, y)) > bound  # the control: samples spread too widely
    assert abs(crps(1.5 * x, y) - gaussian_crps(0 * y, 0 * y + 1.5, y)) < 1.5 * bound


def test_scores_of_gaussians_are_the_integral_and_the_density(rng):
    mean, std, y = rng.normal(size=5), rng.uniform(0.2, 3, 5), rng.normal(size=5)
    x = np.linspace(-40, 40, 400_001)
    integrals = [((norm.cdf(x, m, s) - (x >= v)) ** 2).sum() * (x[1] - x[0]) for m, s, v in zip(mean, std, y, strict=True)]
    assert abs(gaussian_crps(mean, std, y) - np.mean(integrals)) < 1e-4
    assert close(gaussian_nll(mean, std, y), -norm.logpdf(y, mean, std).mean())
    y[2] = np.nan
    known = ~np.isnan(y)
    assert close(gaussian_crps(mean, std, y), gaussian_crps(mean[known], std[known], y[known]))


def test_coverage_counts_what_lies_within(rng):
    y = rng.normal(size=(50, 40, 5))
    y[:5, :10] = np.nan
    ends = np.full(y.shape, norm.ppf(0.95))
    error = np.sqrt(0.9 * 0.1 / np.count_nonzero(~np.isnan(y)))
    assert abs(coverage(-ends, ends, y) - 0.9) < 6 * error
    assert abs(coverage(-0.8 * ends, 0.8 * ends, y) - 0.9) > 6 * error
    assert coverage(np.zeros(3), np.ones(3), np.array([0.0, 1.0, 1.5])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("k", [1, 4])
def test_knn_kl_equals_brute_force(rng, k):
    x, y = rng.normal(size=(60, 3)), 0.3 + 1.2 * rng.normal(size=(45, 3))
    own, other = (np.sort(np.linalg.norm(x[:, None] - points, axis=-1), axis=1) for points in (x, y))
    expected = 3 * np.log(other[:, k - 1] / own[:, k]).mean() + np.log(45 / 59)  # own[:, 0] is the point itself
    assert close(knn_kl(x, y, k), expected)


def test_knn_kl_of_gaussians_in_three_dimensions(rng):
    """From N(0, I) to N((1, 0, 0), 1.5² I), 5000 samples each: over 20 repeats, mean error .03, standard deviation .02."""
    x, y = rng.normal(size=(5000, 3)), [1.0, 0.0, 0.0] + 1.5 * rng.normal(size=(5000, 3))
    truth = 3 * np.log(1.5) + (3 + 1) / (2 * 1.5**2) - 1.5
    assert abs(knn_kl(x, y) - truth) < 0.12
    assert abs(knn_kl(x, y + np.array([0.5, 0.0, 0.0])) - truth) > 0.12  # the control: .28 more
    # Equal distributions, unequal numbers: over 20 repeats, mean error .0001, standard deviation .03.
    assert abs(knn_kl(x, rng.normal(size=(2500, 3)), k=1)) < 0.18


def test_knn_kl_underestimates_towards_a_narrower_distribution_and_less_with_more_samples(rng):
    """What the docstring warns of: the divergence is 1.159, and the mean error -.69, -.49, -.30 with so many samples."""
    truth = -3 * np.log(1.5) + (3 * 1.5**2 + 1) / 2 - 1.5
    errors = []
    for n in (1000, 5000, 40_000):
        wide, narrow = [1.0, 0.0, 0.0] + 1.5 * rng.normal(size=(n, 3)), rng.normal(size=(n, 3))
        errors.append(knn_kl(wide, narrow) - truth)
    assert errors[0] < errors[1] < errors[2] < -0.2
    assert errors[2] > -0.4


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: pooled_r2(np.ones((2, 3, 1)), np.ones((2, 3, 1))), "never vary"),
        (lambda: pooled_r2(np.ones((2, 3, 1)), np.ones((2, 3, 2))), r"shape \(2, 3, 1\), but \(2, 3, 2\)"),
        (lambda: rmse(np.full((2, 3), np.nan), np.ones((2, 3))), "6 of 6 predictions are NaN"),
        (lambda: rmse(np.ones((2, 3)), np.full((2, 3), np.nan)), "None of the 6 values"),
        (
            lambda: log_loss(np.full((1, 2, 1), 2.0), np.ones((1, 2, 1))),
            "range from 2 to 2; give values from 0 to 1, not logits",
        ),
        (lambda: log_loss(np.ones((1, 2, 1)), np.ones((1, 2, 1)), 3), r"\(1, 2, 1\), but \(1, 2, 3\)"),
        (lambda: log_loss(np.ones((1, 2, 1)), np.full((1, 2, 1), np.nan)), "None of the 2 targets"),
        (lambda: crps(np.ones((0, 2)), np.ones(2)), "0 samples and 2 known values"),
        (lambda: gaussian_crps(np.ones(2), np.zeros(2), np.ones(2)), "standard deviation is 0"),
        (lambda: gaussian_nll(np.ones(3), np.ones(3), np.ones(2)), r"means have shape \(3,\), but \(2,\)"),
        (lambda: coverage(np.ones(3), np.ones(2), np.ones(2)), r"lower ends have shape \(3,\), but \(2,\)"),
        (lambda: knn_kl(np.ones((5, 2)), np.ones((5, 3))), r"shapes \(5, 2\) and \(5, 3\)"),
        (lambda: knn_kl(np.ones((9, 2)), np.ones((9, 2))), "is the same point"),
        (lambda: state_r2(np.ones((2, 3, 1)), np.ones((2, 4, 1)), np.ones((2, 3, 1)), np.ones((2, 3, 1))), r"but \(2, 4, 1\)"),
    ],
)
def test_predictions_that_do_not_fit_are_refused_in_a_sentence(call, sentence):
    with pytest.raises(NeuralSDEError, match=sentence):
        call()


def directions(angle):
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def test_angle_error_of_a_turn_is_the_turn_whatever_the_length(rng):
    truth = rng.uniform(0, 2 * np.pi, (20, 30))
    for turn in (0.0, 12.0, -170.0, 180.0, 350.0):
        expected = min(abs(turn), 360 - abs(turn))
        decoded = rng.gamma(2.0, 1.0, (20, 30, 1)) * directions(truth + np.radians(turn))
        assert angle_error(decoded, directions(truth)) == pytest.approx(expected, abs=1e-6)


def test_angle_error_of_normal_errors_and_of_guesses(rng):
    truth = rng.uniform(0, 2 * np.pi, 200_000)
    # The mean of |N(0, s)| is s sqrt(2 / pi); of a guess 90 degrees. Standard errors are below 0.12 degrees: five of them.
    assert angle_error(directions(truth + rng.normal(0, 0.2, len(truth))), directions(truth)) == pytest.approx(
        np.degrees(0.2 * np.sqrt(2 / np.pi)), abs=0.1
    )
    assert angle_error(directions(rng.uniform(0, 2 * np.pi, len(truth))), directions(truth)) == pytest.approx(90, abs=0.6)


def test_angle_error_leaves_out_what_is_not_known(rng):
    truth = directions(rng.uniform(0, 6, 50))
    decoded = truth.copy()
    decoded[::2], truth[::2] = np.nan, np.nan
    assert angle_error(decoded, truth) == pytest.approx(0, abs=1e-6)
    with pytest.raises(NeuralSDEError, match="None of the 50 directions"):
        angle_error(decoded, np.full_like(truth, np.nan))
    with pytest.raises(NeuralSDEError, match="decoded directions are NaN"):
        angle_error(np.full_like(truth, np.nan), truth)
    with pytest.raises(NeuralSDEError, match=r"decoded directions have shape \(49, 2\)"):
        angle_error(decoded[1:], truth)


def test_angles_are_decoded_by_one_ridge_regression_of_cosine_and_sine(rng):
    angle = rng.uniform(0, 2 * np.pi, (40, 25))
    rates = np.exp(np.cos(angle[..., None] - np.linspace(0, 2 * np.pi, 9)[:-1]))
    rates *= rng.gamma(20, 1 / 20, rates.shape)
    parts = rates[:30], directions(angle[:30]), rates[30:], directions(angle[30:])
    x, y = parts[0].reshape(-1, 8), parts[1].reshape(-1, 2)
    found = GridSearchCV(Ridge(), {"alpha": ALPHAS}).fit(x, y).predict(parts[2].reshape(-1, 8))
    error = np.degrees(np.arctan2(found[:, 1], found[:, 0])) - np.degrees(angle[30:].ravel())
    expected = np.abs((error + 180) % 360 - 180).mean()
    assert decoded_angle_error(*parts) == pytest.approx(expected, abs=1e-6)
    assert expected < 10
