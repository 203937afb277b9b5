"""Scores of mixtures of Gaussians, against quadrature and samples."""

import numpy as np
import pytest
from scipy import integrate, stats

from neuralsde.metrics import crps
from neuralsde.metrics.mixtures import mixture_coverage, mixture_crps, mixture_nll

MEAN, STD = np.array([[-1.0], [0.2], [2.5]]), np.array([[0.4], [1.0], [0.1]])


def cdf(x):
    return stats.norm.cdf(x, MEAN, STD).mean(0)


@pytest.mark.parametrize("y", [-2.0, 0.0, 2.5, 7.0])
def test_crps_is_the_integral_of_the_squared_distance_of_distribution_functions(y):
    points = [y, *MEAN.ravel()]
    whole = integrate.quad(lambda x: float((cdf(x)[0] - (x >= y)) ** 2), -20, 20, points=points, limit=500)[0]
    assert mixture_crps(MEAN, STD, np.array([y]))[0] == pytest.approx(whole, abs=1e-6)


def test_nll_and_coverage_are_those_of_the_density():
    y = np.array([-2.0, 0.0, 2.5, 7.0])
    mean, std = np.repeat(MEAN, 4, 1), np.repeat(STD, 4, 1)
    np.testing.assert_allclose(mixture_nll(mean, std, y), -np.log(stats.norm.pdf(y, MEAN, STD).mean(0)), rtol=1e-10)
    inside = [0.05 <= float(cdf(value)[0]) <= 0.95 for value in y]
    assert mixture_coverage(mean, std, y, 0.9).tolist() == inside == [False, True, True, False]


def test_a_weight_counts_as_so_many_equal_samples():
    weight, y = np.array([[0.25], [0.5], [0.25]]), np.array([-2.0, 0.1, 3.0])
    mean, std = (np.repeat(part, 3, 1) for part in (MEAN, STD))
    twice = [np.concatenate([part, part[1:2]]) for part in (mean, std)]
    for score in (mixture_crps, mixture_nll, lambda m, s, y, w=None: mixture_coverage(m, s, y, 0.5, w)):
        np.testing.assert_allclose(score(mean, std, y, weight), score(*twice, y))
    assert not np.allclose(mixture_crps(mean, std, y), mixture_crps(mean, std, y, weight))


def test_crps_is_that_of_many_samples():
    rng = np.random.default_rng(0)
    which = rng.integers(0, 3, 20_000)
    samples, y = rng.normal(MEAN[which, 0], STD[which, 0])[:, None], np.array([0.7])
    assert mixture_crps(MEAN, STD, y)[0] == pytest.approx(crps(samples, y), abs=0.02)
    assert mixture_crps(MEAN, 1.5 * STD, y)[0] != pytest.approx(crps(samples, y), abs=0.02)
