"""What every score is printed beside: predictions that need no dynamics."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.trials import TrialData, Trials
from neuralsde.evaluation.scores import score
from neuralsde.evaluation.smoothing import KERNEL_SDS_S, MOST_TRIALS, Smoother, smooth
from neuralsde.metrics import bits_per_spike

PSEUDO_TRIALS = (0.5, 2.0, 8.0)
"""Weights to choose from, in trials, of the mean over all trials in a condition's mean."""


class SplitRates(NamedTuple):
    """Rates of each split of a recording, counts per bin, (trial, observed + forward bin, held-in + held-out unit)."""

    train: np.ndarray
    eval: np.ndarray
    extra: dict[str, np.ndarray]


def smoothing(data: TrialData) -> SplitRates:
    """Gaussian smoothing of the held-in counts and Poisson regression on them; see `Smoother`."""
    return for_each_split(data, Smoother(data.train, data.spec))


def condition_psth(data: TrialData) -> SplitRates | None:
    """Each trial predicted by the smoothed mean response of the training trials of its condition.

    It is told the **true condition** of the trials that it predicts, which a model has to infer. A trial whose
    condition has no training trials gets the mean over all training trials. Kernel and shrinkage towards that mean are
    those that score best, in bits per spike, on a quarter of the training trials after averaging the rest.

    Returns:
        None where the trials to be scored have no conditions.
    """
    if data.train.condition is None or data.eval.condition is None or not (data.eval.condition >= 0).any():
        return None
    counts, condition = stack_targets(data.train, data.spec), data.train.condition
    some, labels = counts[:MOST_TRIALS], condition[:MOST_TRIALS]
    held = np.arange(len(some)) % 4 == 0

    def merit(choice: tuple[float, float]) -> float:
        psth = shrunk_psth(some[~held], labels[~held], choice[0] / data.spec.bin_width_s, choice[1])
        return bits_per_spike(psth(labels[held]), some[held])

    kernel_sd_s, pseudo_trials = max(((k, p) for k in KERNEL_SDS_S for p in PSEUDO_TRIALS), key=merit)
    psth = shrunk_psth(counts, condition, kernel_sd_s / data.spec.bin_width_s, pseudo_trials)
    return for_each_split(data, lambda trials: psth(labels_of(trials)))


def shrunk_psth(
    counts: np.ndarray, condition: np.ndarray, sd_bins: float, pseudo_trials: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Mean response to each condition as a function of condition labels, (trial,) to (trial, bin, unit).

    Args:
        counts: (trial, bin, unit), NaN where unknown.
        condition: label of each trial, -1 for none.
        sd_bins: standard deviation of the Gaussian kernel.
        pseudo_trials: trials' worth of the mean over all trials that enter each condition's mean.
    """
    known = np.count_nonzero(~np.isnan(counts), axis=0)
    overall = np.where(known, np.nansum(counts, axis=0, dtype=np.float64) / np.maximum(known, 1), np.nan)
    labels = np.unique(condition[condition >= 0])
    means = []
    for label in labels:
        own = counts[condition == label]
        total = np.nansum(own, axis=0, dtype=np.float64) + pseudo_trials * overall
        means.append(total / (np.count_nonzero(~np.isnan(own), axis=0) + pseudo_trials))
    table = np.maximum(smooth(np.stack([*means, overall]), sd_bins), 1e-6)
    return lambda asked: table[np.where(np.isin(asked, labels), np.searchsorted(labels, asked), len(labels))]


def labels_of(trials: Trials) -> np.ndarray:
    """Condition of each trial, -1 where it has none."""
    return np.full(len(trials), -1) if trials.condition is None else trials.condition


def for_each_split(data: TrialData, predict: Callable[[Trials], np.ndarray]) -> SplitRates:
    return SplitRates(predict(data.train), predict(data.eval), {k: predict(v) for k, v in data.extra.items()})


def baseline_table(data: TrialData) -> dict[str, dict[str, float]]:
    """Scores of each baseline that applies, as `score` names them.

    Args:
        data: the recording; only its training trials are fitted to.
    """
    baselines = {"smoothing": smoothing(data), "condition_psth": condition_psth(data)}
    return {name: score(data, *rates) for name, rates in baselines.items() if rates is not None}
