"""The best possible forecasts of generated series, against the generators themselves."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import kstest, norm

from benchmarks.small_optimum import OPTIMA
from benchmarks.small_series import TABLES
from neuralsde.metrics.mixtures import mixture_crps


@cache
def told(table, n, seed=0):
    """What the optimum says of the last value of a random channel of series whose other cells are in part empty."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        times = np.cumsum(rng.exponential(1.0, 14) + 0.1)
        values, channel = TABLES[table](times, rng), rng.integers(3, size=1)
        shown = np.where(rng.random(values.shape) < 0.25, np.nan, values)
        shown[-3:] = np.nan
        found.append((OPTIMA[table](times, shown, np.array([13]), channel), values[13, channel]))
    return found


@pytest.mark.parametrize("table", OPTIMA)
def test_what_comes_lies_uniformly_in_the_conditional_distribution(table):
    """So it does in the true one alone; one as wide by half again is told from it."""

    def p_value(stretch):
        ranks = [(w @ norm.cdf((y - m) / (stretch * s)))[0] for (w, m, s), y in told(table, 200)]
        return kstest(ranks, "uniform").pvalue

    assert p_value(1.0) > 0.01
    assert p_value(1.5) < 0.01


@pytest.mark.parametrize("table", OPTIMA)
def test_no_moved_or_stretched_distribution_scores_better(table):
    def crps(shift, stretch):
        return np.mean([mixture_crps(m + shift * s, stretch * s, y, w[:, None])[0] for (w, m, s), y in told(table, 40)])

    best = crps(0.0, 1.0)
    assert all(best < crps(*other) for other in ((0.7, 1.0), (0.0, 2.5)))
