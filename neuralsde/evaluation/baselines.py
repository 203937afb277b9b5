"""What every score is printed beside: predictions that need no dynamics."""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.evaluation.distribution import trivial_sums
from neuralsde.evaluation.scores import score
from neuralsde.evaluation.smoothing import MOST_TRIALS, Smoother, kernel_sds, smooth
from neuralsde.metrics import bits_per_spike
from neuralsde.metrics.labels import indicators

PSEUDO_TRIALS = (0.5, 2.0, 8.0)
"""Weights to choose from, in trials, of the mean over all trials in a condition's mean."""


class SplitRates(NamedTuple):
    """Rates of each split of a recording, (trial, observed + forward bin, held-in + held-out unit), as `score` takes them."""

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

    kernel_sd_s, pseudo_trials = max(product(kernel_sds(data.spec.bin_width_s), PSEUDO_TRIALS), key=merit)
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


def linear_interpolation(data: TrialData) -> SplitRates:
    """Each channel of each trial interpolated in time between its seen values, and constant before and beyond them.

    A channel that is never seen in a trial, such as a held-out one, gets the training mean.
    """
    mean = training_average(data)

    def predict(trials: Trials) -> np.ndarray:
        rates = np.repeat(mean[None], len(trials), axis=0)
        times = times_of(trials, data.spec)
        for values, time, out in zip(trials.heldin, times, rates, strict=True):
            for channel, seen in enumerate(~np.isnan(values).T):
                if seen.any():
                    known = time[: len(values)][seen]
                    out[:, channel] = np.interp(time, known, values[seen, channel])
        return rates

    return for_each_split(data, predict)


def persistence(data: TrialData) -> SplitRates:
    """Each channel of each trial keeps its last seen value; before the first, and where none is seen, the training mean."""
    mean = training_average(data)

    def predict(trials: Trials) -> np.ndarray:
        rates = np.repeat(mean[None], len(trials), axis=0)
        bins, units = trials.heldin.shape[1:]
        numbers = np.where(np.isnan(trials.heldin), -1, np.arange(bins)[:, None])
        last = np.pad(np.maximum.accumulate(numbers, axis=1), ((0, 0), (0, data.spec.forward_bins), (0, 0)), "edge")
        values = np.take_along_axis(trials.heldin, np.maximum(last, 0), axis=1)
        rates[..., :units] = np.where(last >= 0, values, rates[..., :units])
        return rates

    return for_each_split(data, predict)


def training_mean(data: TrialData) -> SplitRates:
    """The mean over the training trials in each bin; over all bins, where times are irregular."""
    mean = training_average(data)
    return for_each_split(data, lambda trials: np.repeat(mean[None], len(trials), axis=0))


def training_frequency(data: TrialData) -> SplitRates:
    """How often each class occurs in the training trials in each bin; over all bins, where times are irregular.

    Every class is counted once more than it occurs (Laplace's rule), so that none is impossible.
    """
    classes = max(data.spec.n_classes, 2)
    frequency = training_average(data, 1 / classes, classes)
    return for_each_split(data, lambda trials: np.repeat(frequency[None], len(trials), axis=0))


def training_average(data: TrialData, prior: float = 0.0, pseudo_trials: int = 0) -> np.ndarray:
    """Mean over the training trials, (bin, unit), or frequency of each class, (bin, unit × class).

    Where times are irregular, bins are pooled, and so they are for a bin in which no trial is known.

    Args:
        data: the recording.
        prior: value that enters as if some trials had it, and stands where nothing is known.
        pseudo_trials: how many trials.
    """
    spec = data.spec
    values = indicators(stack_targets(data.train, spec), spec.n_classes)
    total, known = np.nansum(values, axis=0, dtype=np.float64), np.count_nonzero(~np.isnan(values), axis=0)
    pooled = np.broadcast_to(total.sum(0), total.shape), np.broadcast_to(known.sum(0), known.shape)
    alone = (known > 0) & (spec.longest_s is None)
    total, known = (np.where(alone, one, all_bins) for one, all_bins in zip((total, known), pooled, strict=True))
    weight = known + pseudo_trials
    return np.where(weight > 0, (total + prior * pseudo_trials) / np.maximum(weight, 1), prior)


def times_of(trials: Trials, spec: DataSpec) -> np.ndarray:
    """Time of each bin, (trial, observed + forward bin), in seconds."""
    regular = np.arange(spec.total_bins) * spec.bin_width_s
    return np.broadcast_to(regular, (len(trials), spec.total_bins)) if trials.times is None else trials.times


def for_each_split(data: TrialData, predict: Callable[[Trials], np.ndarray]) -> SplitRates:
    return SplitRates(predict(data.train), predict(data.eval), {k: predict(v) for k, v in data.extra.items()})


def of_each_session(data: TrialData, baseline: Callable[[TrialData], SplitRates | None]) -> SplitRates | None:
    """A baseline fitted to each session by itself; units that a trial's session has not are said to be silent.

    Returns:
        None where a session has not what the baseline needs.
    """
    spec = data.spec
    train, scored = (np.zeros((len(trials), spec.total_bins, spec.target_dim)) for trials in (data.train, data.eval))
    extra = {}
    for name, session in data.sessions.items():
        found = baseline(session.data)
        if found is None:
            return None
        for rates, own, first in ((train, found.train, session.first_train), (scored, found.eval, session.first_eval)):
            observed = session.data.spec.observed_bins
            trials = slice(first, first + len(own))
            rates[trials, :observed, session.units] = own[:, :observed]
            rates[trials, spec.observed_bins :, session.units] = own[:, observed:]
        if name in data.extra:
            extra[name] = scored[session.first_eval : session.first_eval + len(found.eval)]
    return SplitRates(train, scored, extra)


BASELINES: dict[str, tuple[Callable[[TrialData], SplitRates | None], ...]] = {
    "counts": (smoothing, condition_psth),
    "real": (linear_interpolation, persistence, training_mean),
    "binary": (training_frequency,),
    "category": (training_frequency,),
}
"""Those that apply, by the kind of the data."""


def baseline_table(data: TrialData) -> dict[str, dict[str, float]]:
    """Scores of each baseline that applies, as `score` names them.

    Args:
        data: the recording; only its training trials are fitted to.
    """
    if data.trivial:
        return {
            name: score(data, None, said.mean) | trivial_sums(data.eval, data.spec, said).pooled(data.deviations)
            for name, said in data.trivial.items()
        }
    if data.sessions:
        found = {baseline.__name__: of_each_session(data, baseline) for baseline in BASELINES[data.spec.kind]}
        return {name: score(data, *rates) for name, rates in found.items() if rates is not None}
    predictions = {baseline.__name__: baseline(data) for baseline in BASELINES[data.spec.kind]}
    return {name: score(data, *rates) for name, rates in predictions.items() if rates is not None}
