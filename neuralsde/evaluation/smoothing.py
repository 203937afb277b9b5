"""The trivial baseline of this field: smooth the observed counts, and regress all rates on them."""

import math
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.trials import DataSpec, Trials
from neuralsde.evaluation.poisson_regression import fit_poisson
from neuralsde.metrics import bits_per_spike

KERNEL_SDS_S = (0.015, 0.025, 0.04, 0.06, 0.09)
"""Standard deviations of the Gaussian kernel to choose from, in seconds, where bins are of `ROW_WIDTH_S` or finer."""
RIDGES = (100.0, 300.0, 1000.0, 3000.0)
"""Penalties of the regressions to choose from."""
ROW_WIDTH_S = 0.02
"""Finer bins are pooled to this width before a regression is fitted: smoothed counts hardly change within it."""
MOST_TRIALS = 500
"""Trials by which kernel and penalty are chosen; more cost time and do not change the choice."""
FOLDS = 4
"""Parts of the training trials, each of which is left out of a fit in its turn."""
BLOCK = 512
"""Bins that are smoothed at a time: a kernel over all of a long window's would be its square."""
REACH_SDS = 9.0
"""Standard deviations beyond which a kernel's weights vanish beside its own in float64."""


def kernel_sds(bin_width_s: float) -> list[float]:
    """Standard deviations to choose from, in seconds: in wide bins as many bins as in those of `ROW_WIDTH_S`."""
    return [sd * max(1.0, bin_width_s / ROW_WIDTH_S) for sd in KERNEL_SDS_S]


class Choice(NamedTuple):
    """Kernel and ridge penalty of a regression; the values given here serve where there is nothing to choose by."""

    kernel_sd_s: float = 0.04
    ridge: float = 300.0


Predict = Callable[[np.ndarray], np.ndarray]
"""From held-in counts (trial, bin, unit) to rates."""


def smooth(counts: np.ndarray, sd_bins: float, own: float = 1.0, bins: slice = slice(None)) -> np.ndarray:
    """Gaussian average over the recorded (not NaN) bins, in float64; its weights sum to 1 everywhere.

    Args:
        counts: (trial, bin, unit).
        sd_bins: standard deviation of the kernel, in bins.
        own: factor on the weight of a bin in its own average; at 0 the average is independent of that bin's spikes.
        bins: bins to return.
    """
    time = np.arange(counts.shape[1])
    wanted, reach = time[bins], math.ceil(REACH_SDS * sd_bins)
    parts = []
    for start in range(0, len(wanted), BLOCK):
        block = wanted[start : start + BLOCK]
        near = time[max(0, block[0] - reach) : block[-1] + 1 + reach]
        kernel = np.exp(-0.5 * ((block[:, None] - near) / sd_bins) ** 2) * np.where(block[:, None] == near, own, 1.0)
        parts.append(average(counts[:, near], kernel))
    return np.concatenate(parts, axis=1)


def average(counts: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Average (trial, row, unit) of recorded counts (trial, bin, unit) by the weights of a kernel (row, bin)."""
    known = ~np.isnan(counts)
    shared = known[:, :, :1] if (known == known[:, :, :1]).all() else known
    total = kernel @ np.where(known, counts, 0.0).astype(np.float64)
    return total / np.maximum(kernel @ shared.astype(np.float64), 1e-12)


def forward_counts(trials: Trials) -> np.ndarray | None:
    """Counts of all units in the forward bins, or None where they are withheld."""
    parts = [counts for counts in (trials.heldin_forward, trials.heldout_forward) if counts is not None]
    return np.concatenate(parts, axis=-1) if parts else None


class Smoother:
    """Rates of all units in all bins, by Poisson regression on the smoothed counts of the held-in units.

    A held-out unit is regressed on the smoothed counts of the same bin, a forward bin on those of the last observed
    bin. A held-in unit is regressed on averages that leave out the bin itself, lest it copy its own spikes, but
    predicted from whole ones. Kernel and penalty are those that predict best, in bits per spike, training trials that
    were left out of the fit. Bins are taken as equally wide, also where times are irregular.

    Args:
        trials: training trials; no others are looked at.
        spec: sizes of the recording.
    """

    def __init__(self, trials: Trials, spec: DataSpec):
        self.bin_width_s = spec.bin_width_s
        self.pooled = min(max(1, round(ROW_WIDTH_S / spec.bin_width_s)), spec.observed_bins)
        self.choice = self.forward_choice = Choice()
        self.heldout = self.forward = None
        if trials.heldout is not None and trials.heldout.size:
            self.choice = best_choice(trials.heldin, trials.heldout, self.fit_observed, 1, spec.bin_width_s)
            self.heldout = self.fit_observed(trials.heldin, trials.heldout, self.choice)
        self.heldin = self.fit_observed(trials.heldin, trials.heldin, self.choice, own=0.0)
        if (counts := forward_counts(trials)) is not None and counts.size:
            self.forward_choice = best_choice(trials.heldin, counts, self.fit_forward, FOLDS, spec.bin_width_s)
            self.forward = self.fit_forward(trials.heldin, counts, self.forward_choice)

    def __call__(self, trials: Trials) -> np.ndarray:
        """Rates in counts per bin, (trial, observed + forward bin, held-in + held-out unit)."""
        rates = [f(trials.heldin) for f in (self.heldin, self.heldout) if f is not None]
        rates = np.concatenate(rates, axis=-1)
        return rates if self.forward is None else np.concatenate([rates, self.forward(trials.heldin)], axis=1)

    def pool(self, counts: np.ndarray) -> np.ndarray:
        """Sums over `pooled` bins, (trial, row, unit); NaN where one of them is."""
        bins = counts.shape[1] // self.pooled * self.pooled
        return counts[:, :bins].reshape(len(counts), -1, self.pooled, counts.shape[-1]).sum(2)

    def sd_bins(self, choice: Choice) -> float:
        return choice.kernel_sd_s / self.bin_width_s

    def fit_observed(self, heldin: np.ndarray, counts: np.ndarray, choice: Choice, own: float = 1.0) -> Predict:
        """Regression of counts in observed bins, fitted to pooled bins; `own` as in `smooth`."""
        x = smooth(self.pool(heldin), self.sd_bins(choice) / self.pooled, own) / self.pooled
        y = self.pool(counts)
        known = ~np.isnan(y).any(-1)
        fit = fit_poisson(x[known], y[known], choice.ridge)
        return lambda c: fit(smooth(c, self.sd_bins(choice))) / self.pooled

    def fit_forward(self, heldin: np.ndarray, counts: np.ndarray, choice: Choice) -> Predict:
        """Regression of the counts in all forward bins, spread over the bins by each unit's mean time course."""
        known = np.count_nonzero(~np.isnan(counts), axis=0)
        mean = np.where(known, np.nansum(counts, axis=0) / np.maximum(known, 1), np.nan)
        course = smooth(mean[None], self.sd_bins(choice))[0] + 1e-6
        course /= course.sum(0)
        fit = fit_poisson(self.last(heldin, choice), np.nansum(counts, axis=1), choice.ridge)
        return lambda c: fit(self.last(c, choice))[:, None] * course

    def last(self, heldin: np.ndarray, choice: Choice) -> np.ndarray:
        """Smoothed counts of the last observed bin, (trial, unit)."""
        return smooth(heldin, self.sd_bins(choice), bins=slice(-1, None))[:, 0]


def best_choice(heldin: np.ndarray, counts: np.ndarray, fit: Callable[..., Predict], folds: int, bin_width_s: float) -> Choice:
    """The choice by which `fit` predicts trials best that it was not fitted to, over the first `folds` of `FOLDS`.

    Where there is but one trial, or trials left out hold no spike, there is nothing to choose by.

    Args:
        heldin: counts to predict from, (trial, bin, unit).
        counts: to be predicted.
        fit: from trials of both and a choice to a prediction.
        folds: parts that are left out of a fit, each in its turn.
        bin_width_s: in seconds.
    """
    heldin, counts = heldin[:MOST_TRIALS], counts[:MOST_TRIALS]
    left_out = [np.nansum(counts[fold::FOLDS]) for fold in range(folds)]
    if len(heldin) < max(folds, 2) or not all(left_out):
        return Choice()

    def merit(choice: Choice) -> float:
        scores = []
        for fold in range(folds):
            held = np.arange(len(heldin)) % FOLDS == fold
            rates = fit(heldin[~held], counts[~held], choice)(heldin[held])
            scores.append(bits_per_spike(rates, counts[held]))
        return sum(scores)

    return max((Choice(*pair) for pair in product(kernel_sds(bin_width_s), RIDGES)), key=merit)
