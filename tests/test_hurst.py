"""Hurst estimators on exact fractional Brownian motion. Bounds in their own standard errors; each has a control that fails."""

import hydra
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from scipy.stats import multivariate_normal

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.simulated import FractionalOU, fractional_covariance, fractional_gaussian_noise
from neuralsde.errors import NeuralSDEError
from neuralsde.metrics import hurst_likelihood, hurst_rescaled_range, hurst_variations, hurst_wavelet
from neuralsde.metrics.hurst import (
    block_ratios,
    curve_correlation,
    deviance,
    expected_ratio,
    noisy_autocovariance,
    second_differences,
)

HURSTS = (0.2, 0.35, 0.5, 0.65, 0.8)
UNBIASED = [hurst_wavelet, hurst_variations, hurst_likelihood]
ALL = [*UNBIASED, hurst_rescaled_range]


def motion(hurst, n_paths=64, n_times=256, seed=0):
    steps = fractional_gaussian_noise(np.random.default_rng(seed), hurst, n_paths, n_times - 1)
    return np.pad(steps.cumsum(1), ((0, 0), (1, 0)))


def noisy_motion(hurst, noise_std, seed=0):
    paths = motion(hurst, seed=seed)
    return paths + noise_std * np.random.default_rng(seed + 1).normal(size=paths.shape)


def standard_errors(estimate, hurst):
    return abs(estimate.hurst - hurst) / estimate.standard_error


@pytest.mark.parametrize("estimator", UNBIASED)
@pytest.mark.parametrize("hurst", HURSTS)
def test_the_index_is_found_within_four_standard_errors(estimator, hurst):
    """64 paths of 256 times, the standard error at most .013."""
    estimate = estimator(motion(hurst))
    assert standard_errors(estimate, hurst) < 4
    assert estimate.standard_error < 0.013
    assert standard_errors(estimate, hurst + 0.1) > 4  # the control: another index


def test_the_rescaled_range_is_unbiased_at_one_half_and_elsewhere_too_close_to_it():
    """What its docstring warns of: over 100 repeats, the mean error is .068, .036, .000, -.041, -.086."""
    estimates = [hurst_rescaled_range(motion(hurst)) for hurst in HURSTS]
    errors = [estimate.hurst - hurst for estimate, hurst in zip(estimates, HURSTS, strict=True)]
    assert np.diff(errors).max() < 0
    assert np.abs(errors).max() < 0.13
    assert standard_errors(estimates[2], 0.5) < 4
    assert standard_errors(estimates[0], 0.2) > 4  # the control
    assert standard_errors(estimates[4], 0.8) > 4


@pytest.mark.parametrize("hurst", [0.35, 0.65, 0.8])
def test_observation_noise_is_allowed_for(hurst):
    """Noise of half a step's standard deviation on 64 paths of 256 times, at most .03 of a standard error."""
    paths = noisy_motion(hurst, 0.5)
    fit = hurst_likelihood(paths, noisy=True)
    assert standard_errors(fit, hurst) < 4
    assert fit.standard_error < 0.03
    assert fit.noise_std == pytest.approx(0.5, abs=0.06)
    assert fit.step_std == pytest.approx(1.0, abs=0.06)
    for estimator in UNBIASED:  # the control: noise not allowed for looks rough
        assert hurst - estimator(paths).hurst > 4 * fit.standard_error


@pytest.mark.parametrize("estimator", ALL)
@pytest.mark.parametrize("hurst", [0.25, pytest.param(0.75, marks=pytest.mark.slow)])
def test_the_standard_error_is_the_deviation_between_repeats(estimator, hurst):
    """40 repeats of 16 paths of 65 times: their deviation is known to 11 % of itself, and 4 times that is allowed."""
    estimates = [estimator(motion(hurst, 16, 65, seed)) for seed in range(40)]
    found = np.std([e.hurst for e in estimates], ddof=1)
    stated = np.mean([e.standard_error for e in estimates])
    assert abs(found / stated - 1) < 0.45
    assert abs(found / (stated * np.sqrt(16)) - 1) > 0.45  # the control: of one path


@pytest.mark.parametrize("estimator", ALL)
def test_white_noise_does_not_pass_as_brownian_motion(estimator):
    """As a path it is the limit of the index 0. 64 paths of 256 times."""
    paths = np.random.default_rng(0).normal(size=(64, 256))
    estimate = estimator(paths)
    assert abs(estimate.hurst) < 0.15
    assert estimator(paths.cumsum(1)).hurst == pytest.approx(0.5, abs=0.05)


def test_noise_alone_has_no_index():
    fit = hurst_likelihood(np.random.default_rng(0).normal(size=(64, 256)), noisy=True)
    assert not fit.standard_error < 0.1  # NaN, or as good as unknown


@pytest.mark.parametrize("estimator", ALL)
def test_a_straight_line_is_refused_and_a_smooth_curve_is_smoother_than_any_index(estimator):
    line = np.outer([1.0, 2.0], np.arange(64)) * 0.1
    line[0] += 0.1 * np.random.default_rng(0).normal(size=64)
    with pytest.raises(NeuralSDEError, match="Path 1 is a straight line, which has no Hurst index; leave it out"):
        estimator(line)
    with pytest.raises(NeuralSDEError, match="Path 0 is a straight line"):
        estimator(np.ones((1, 64)))
    assert estimator(np.arange(64.0)[None] ** 2).hurst > 0.85


@pytest.mark.parametrize("estimator", ALL)
def test_unit_and_level_do_not_matter(estimator):
    paths = motion(0.3, 4, 65)
    estimate, other = estimator(paths), estimator(1000 - 7 * paths)
    assert other[:2] == pytest.approx(estimate[:2], abs=1e-4)


def test_variations_see_the_roughness_of_a_process_that_reverts():
    """A fractional Ornstein-Uhlenbeck process in steps of 2 ms, 64 paths of 256 times; reversion in a tenth of a second."""
    times = np.tile(np.arange(256) * 0.002, (64, 1))
    paths = FractionalOU(0.65, theta=10.0).states(np.random.default_rng(0), times)[..., 0]
    assert standard_errors(hurst_variations(paths), 0.65) < 4
    assert standard_errors(hurst_likelihood(paths), 0.65) > 4  # the control: looks at all scales


def test_the_likelihood_is_that_of_a_joint_normal():
    """Up to the scale: the deviance is that of the best one, and what is left out is common to all parameters."""
    paths = noisy_motion(0.4, 0.3)[:5, :30]
    increments, lags = np.diff(paths, axis=1), np.abs(np.subtract.outer(np.arange(29), np.arange(29)))

    def exact(hurst, share):
        covariance = noisy_autocovariance(29, hurst, share)[lags]
        scale = np.mean([x @ np.linalg.solve(covariance, x) for x in increments]) / 29
        return -2 * multivariate_normal(np.zeros(29), scale * covariance).logpdf(increments).sum()

    points = [(0.3, 0.0), (0.7, 0.2), (0.9, 0.6)]
    ours, brute = ([f(*point) for point in points] for f in (lambda *p: deviance(increments, np.array(p)), exact))
    np.testing.assert_allclose(np.diff(ours), np.diff(brute), rtol=1e-9)


def test_the_autocovariance_is_that_of_noisy_increments():
    fine = np.arange(6.0)
    path = 0.7 * fractional_covariance(fine, fine, 0.8) + 0.15 * np.eye(6)  # increments of variance 1, .3 of it noise
    np.testing.assert_allclose(np.diff(np.diff(path, axis=0), axis=1)[0], noisy_autocovariance(5, 0.8, 0.3), atol=1e-12)


def test_second_differences_have_the_correlation_that_the_standard_error_uses():
    fine, starts = np.arange(40.0), np.array([0, 4, 9])
    weights = [second_differences(np.eye(40), starts, lag) for lag in (2, 5)]  # (time, start)
    covariance = fractional_covariance(fine, fine, 0.7)
    spread = [np.sqrt(np.diag(w.T @ covariance @ w)) for w in weights]
    np.testing.assert_allclose(spread[1] / spread[0], 2.5**0.7, rtol=1e-12)
    exact = weights[0].T @ covariance @ weights[1] / np.outer(*spread)
    ours = [curve_correlation(s - starts, 2, 5, 0.7) for s in starts]
    np.testing.assert_allclose(ours, exact, atol=1e-12)


@pytest.mark.parametrize("n", [8, 50])
def test_the_expected_rescaled_range_is_that_of_white_noise(n):
    """20 000 blocks; bound of six standard errors."""
    ratios = block_ratios(np.random.default_rng(0).normal(size=(20_000, n + 1)).cumsum(1), n)[:, 0]
    error = ratios.std() / np.sqrt(len(ratios))
    assert abs(ratios.mean() - expected_ratio(n)) < 6 * error
    assert abs(ratios.mean() - np.sqrt(np.pi * n / 2)) > 6 * error  # the control: without the correction


def test_the_index_of_the_config_is_found_through_its_noise():
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=["run_dir=unused", "data=fractional_brownian"]).data
    values = hydra.utils.instantiate(config).data.train.heldin[..., 0]
    fit = hurst_likelihood(values, noisy=True)
    assert standard_errors(fit, 0.7) < 4
    assert fit.noise_std == pytest.approx(0.01, rel=0.1)
    assert fit.step_std == pytest.approx(0.004**0.7, rel=0.1)
    assert standard_errors(hurst_likelihood(values), 0.7) > 4


@pytest.mark.parametrize("estimator", ALL)
def test_paths_that_cannot_be_judged_are_refused_in_a_sentence(estimator):
    paths = motion(0.5, 3, 64)
    with pytest.raises(NeuralSDEError, match=r"shape \(64,\); give \(path, time\)"):
        estimator(paths[0])
    with pytest.raises(NeuralSDEError, match=r"shape \(3, 5\); give \(path, time\) with one path and \d+ times or more"):
        estimator(paths[:, :5])
    paths[1, 7] = np.nan
    with pytest.raises(NeuralSDEError, match="Path 1 is nan at time 7; give paths without gaps, or leave that one out"):
        estimator(paths)


def test_a_path_that_stands_still_for_a_while_has_no_rescaled_range():
    paths = motion(0.5, 3, 64)
    paths[2, 16:33] = 0.0
    with pytest.raises(NeuralSDEError, match="Path 2 stands still or moves evenly from time 16 to 32"):
        hurst_rescaled_range(paths)
    assert np.isnan(hurst_rescaled_range(motion(0.5, 1, 64)).standard_error)


@pytest.mark.parametrize("estimator", [hurst_wavelet, hurst_variations])
def test_paths_that_repeat_themselves_have_no_scaling(estimator):
    with pytest.raises(NeuralSDEError, match=r"second differences over 2 steps are all 0, .*; give paths that are neither"):
        estimator(np.tile([0.0, 1.0], (2, 32)))
