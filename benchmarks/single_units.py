"""Whether a held-out unit owes its score to one held-in unit alone, such as to its own spikes on a neighbouring electrode."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from neuralsde.datamodules.trials import TrialData, Trials
from neuralsde.evaluation.poisson_regression import fit_poisson
from neuralsde.evaluation.smoothing import smooth
from neuralsde.metrics import bits_per_spike

LAGS = range(-3, 4)
"""Bins by which a held-in unit's counts are read late or early."""
WIDTHS = (2.0, 6.0, 20.0)
"""Standard deviations of the Gaussian averages that are read beside, in bins."""
ROWS = 20_000
"""Bins that a regression is fitted to, at most, evenly spread over the training trials."""
RIDGE = 10.0


def single_units(data: TrialData, predict: Callable[[Trials], np.ndarray]) -> Iterator[dict[str, Any]]:
    """One line for each held-out unit of the evaluation trials, and one for all; scores in bits per spike in observed bins.

    Args:
        data: the recording.
        predict: a model's rates of trials, (trial, observed + forward bin, held-in + held-out unit).

    Yields:
        `unit` (among the held-out ones, or `all`), `spikes`, `model`; `alone`, of a Poisson regression on the counts of the
        one held-in unit, its lags and averages, which explains it best on training trials, `best_unit`; `without`, the model's
        where that one held-in unit is replaced by its mean over training trials that costs most, `costliest_unit`.
    """
    heldin, units = data.spec.observed_dim, range(data.spec.target_dim - data.spec.observed_dim)
    counts = data.eval.heldout
    assert counts is not None
    alone, best = regressed(data)

    def heldout_rates(trials: Trials) -> np.ndarray:
        return predict(trials)[:, : data.spec.observed_bins, heldin:]

    def bits(rates: np.ndarray) -> np.ndarray:
        return np.array([bits_per_spike(rates[..., [k]], counts[..., [k]]) for k in units])

    whole = heldout_rates(data.eval)
    hidden = [heldout_rates(without(data, unit)) for unit in range(heldin)]
    scores = np.array([bits(rates) for rates in hidden])  # (held-in unit hidden, held-out unit)
    costliest = scores.argmin(0)
    worst = np.stack([hidden[i][..., k] for k, i in enumerate(costliest)], -1)
    found = zip(units, bits(whole), bits(alone), best, scores.min(0), costliest, strict=True)
    for k, model, one, best_unit, least, unit in found:
        line = {"unit": k, "spikes": int(np.nansum(counts[..., k])), "model": float(model), "alone": float(one)}
        yield line | {"best_unit": int(best_unit), "without": float(least), "costliest_unit": int(unit)}
    together = {name: bits_per_spike(r, counts) for name, r in (("model", whole), ("alone", alone), ("without", worst))}
    yield {"unit": "all", "spikes": int(np.nansum(counts)), **together}


def without(data: TrialData, unit: int) -> Trials:
    """The evaluation trials with one held-in unit's counts replaced by its mean over training trials in each bin."""
    values = data.eval.heldin.copy()
    values[..., unit] = np.nanmean(data.train.heldin[..., unit], axis=0)
    return replace(data.eval, heldin=values)


def regressed(data: TrialData) -> tuple[np.ndarray, np.ndarray]:
    """Rates of the held-out units in the evaluation trials, each from that one held-in unit which explains it best on training
    trials, and which one that is."""
    assert data.train.heldout is not None
    targets = data.train.heldout.reshape(-1, data.train.heldout.shape[-1])
    stride = -(-len(targets) // ROWS)
    targets = targets[::stride].astype(np.float64)
    rates = np.zeros((*data.eval.heldin.shape[:2], targets.shape[1]))
    best, most = np.zeros(targets.shape[1], int), np.full(targets.shape[1], -np.inf)
    for unit in range(data.spec.observed_dim):
        x = lagged(data.train.heldin[..., [unit]]).reshape(-1, len(LAGS) + len(WIDTHS))[::stride]
        fitted = fit_poisson(x, targets, RIDGE)
        r = fitted(x)
        merit = (targets * np.log(r) - r).sum(0)
        better = merit > most
        best[better], most[better] = unit, merit[better]
        rates[..., better] = fitted(lagged(data.eval.heldin[..., [unit]]))[..., better]
    return rates, best


def lagged(counts: np.ndarray) -> np.ndarray:
    """Counts of one unit (trial, bin, 1) at each lag, 0 beyond the window, and averaged at each width, (trial, bin, input)."""
    reach, bins = max(LAGS), counts.shape[1]
    padded = np.pad(counts, ((0, 0), (reach, reach), (0, 0)))
    shifted = [padded[:, reach - lag : reach - lag + bins] for lag in LAGS]
    return np.concatenate([*shifted, *(smooth(counts, width) for width in WIDTHS)], axis=-1)
