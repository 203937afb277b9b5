"""Condition averages of a model and of the data, with their standard errors."""

from dataclasses import dataclass

import numpy as np

from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.trials import TrialData, Trials
from neuralsde.errors import ConfigError, DataError
from neuralsde.evaluation.smoothing import smooth
from neuralsde.metrics.conditions import shifted
from neuralsde.metrics.labels import indicators


@dataclass(frozen=True)
class Average:
    """Means over the trials of each condition.

    Args:
        mean: counts per bin (or values), (condition, bin, unit); NaN where nothing is known.
        sem: standard error of the mean, same shape; NaN where fewer than two trials are known.
        n: known trials, same shape.
    """

    mean: np.ndarray
    sem: np.ndarray
    n: np.ndarray


@dataclass(frozen=True)
class PSTH:
    """Condition averages (peristimulus time histograms).

    Args:
        model: of the rates.
        data: of what was recorded, all units in observed and forward bins.
        times: of the bins, in seconds.
        bin_width_s: width of a bin: a mean over it is in Hz.
        trials: trials of each condition, (condition,).
        names: of the conditions.
    """

    model: Average
    data: Average
    times: np.ndarray
    bin_width_s: float
    trials: np.ndarray
    names: tuple[str, ...]


def psth(data: TrialData, trials: Trials, rates: np.ndarray, kernel_ms: float = 0.0) -> PSTH:
    """Average rates and data over each condition's trials. Jittered windows are put back in place.

    Args:
        data: the recording.
        trials: the trials that were predicted.
        rates: their rates, (trial, observed + forward bin, unit).
        kernel_ms: standard deviation of the Gaussian by which the data are smoothed, trial by trial; 0 for none.

    Raises:
        ConfigError: the kernel is negative.
        DataError: the trials have no conditions, or bins that are not equally wide.
    """
    if not kernel_ms >= 0:
        raise ConfigError(f"psth got kernel_ms={kernel_ms}; give 0 for none, or a positive number of ms.")
    if trials.condition is None or not (trials.condition >= 0).any() or trials.times is not None:
        lack = "bins of equal width" if trials.times is not None else "conditions"
        raise DataError(
            f"{data.name} has no {lack} to average over; name the trial columns that make a condition with "
            "load(…, data={'condition_columns': […]})."
        )
    spec, n = data.spec, max(len(data.condition_names), int(trials.condition.max()) + 1)
    recorded = indicators(stack_targets(trials, spec), spec.n_classes).astype(np.float64)
    if kernel_ms > 0:
        recorded = np.where(np.isnan(recorded), np.nan, smooth(recorded, kernel_ms / (1e3 * spec.bin_width_s)))
    model, measured = (average(unjittered(part, trials), trials.condition, n) for part in (rates, recorded))
    counts = np.bincount(trials.condition[trials.condition >= 0], minlength=n)
    names = data.condition_names or tuple(map(str, range(n)))
    return PSTH(model, measured, np.arange(spec.total_bins) * spec.bin_width_s, spec.bin_width_s, counts, names)


def unjittered(values: np.ndarray, trials: Trials) -> np.ndarray:
    """(trial, bin, unit) with each trial's window put back in place."""
    if trials.jitter is None:
        return values
    return np.stack([shifted(one, int(bins)) for one, bins in zip(values, trials.jitter, strict=True)])


def average(values: np.ndarray, condition: np.ndarray, n_conditions: int) -> Average:
    """Means and standard errors over each condition's trials, of (trial, bin, unit)."""
    known = ~np.isnan(values)
    member = (condition[:, None] == np.arange(n_conditions)).astype(np.float64)
    n = np.einsum("tc,tbu->cbu", member, known.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.einsum("tc,tbu->cbu", member, np.where(known, values, 0.0)) / n
        own = mean[np.maximum(condition, 0)]
        squares = np.einsum("tc,tbu->cbu", member, np.where(known, values - own, 0.0) ** 2)
        sem = np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)
    return Average(np.where(n > 0, mean, np.nan), sem, n.astype(int))
