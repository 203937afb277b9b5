"""Scores over task conditions: the match to PSTHs, and how neural speed foretells produced time.

Source: Pei et al. 2021 (arXiv 2109.04463), section 4; the definitions of nlb_tools' `evaluation.py`.
"""

import numpy as np
from sklearn.metrics import r2_score

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics.checks import refuse_bad_rates


def psth_r2(psth: np.ndarray, rates: np.ndarray, condition: np.ndarray, jitter: np.ndarray | None = None) -> float:
    """R² between each condition's PSTH and the mean of its trials' rates, averaged uniformly over neurons.

    Neurons of very different rates count alike, and conditions without trials are left out.

    Args:
        psth: counts per bin, (condition, bin, neuron); bins whose first neuron is NaN are left out.
        rates: counts per bin, (trial, bin, neuron).
        condition: index into `psth`, (trial,); -1 for a trial that has none.
        jitter: bins by which a trial's window was shifted, (trial,); undone before averaging.

    Raises:
        NeuralSDEError: no trial has a condition, or a rate is missing or not finite where the PSTH is known.
    """
    jitter = np.zeros(len(rates), int) if jitter is None else jitter
    true, predicted = [], []
    for index, response in enumerate(psth):
        trials = np.flatnonzero(condition == index)
        if len(trials):
            known = ~np.isnan(response[:, 0])
            mean = np.mean([shifted(rates[trial], int(jitter[trial])) for trial in trials], axis=0)
            true.append(response[known])
            predicted.append(mean[known])
    if not true:
        raise NeuralSDEError(f"None of the {len(rates)} trials belongs to one of the {len(psth)} conditions.")
    refuse_bad_rates(np.vstack(predicted), "condition-averaged rates")
    return float(r2_score(np.vstack(true), np.vstack(predicted)))


def shifted(rates: np.ndarray, bins: int) -> np.ndarray:
    """(bin, neuron) rates in float64, `bins` later (earlier where negative); NaN where there is nothing to shift in."""
    out = np.full(rates.shape, np.nan)
    start, stop = max(bins, 0), len(rates) + min(bins, 0)
    out[start:stop] = rates[start - bins : stop - bins]
    return out


def tp_corr(rates: np.ndarray, counts: np.ndarray, behavior: np.ndarray) -> float:
    r"""Pearson correlation of neural speed with produced time, within each condition, averaged over conditions.

    Speed is the mean over bins of $\lVert r_{t+1} - r_t \rVert$ in counts per bin. A good model scores close to
    **-1**: the faster the population moves, the sooner the animal responds. NaN where speed or produced time does not
    vary within some condition.

    Args:
        rates: $r$, counts per bin, (trial, bin, neuron).
        counts: counts of the held-out neurons, (trial, bin, neuron); NaN outside the set-go period, which alone is
            used.
        behavior: `is_eye, theta, is_short, ts, tp`, (trial, 5); NaN rows are left out. The first three are the
            condition.

    Raises:
        NeuralSDEError: no condition has two trials, or a rate is NaN in the set-go period.
    """
    speed = np.array([mean_step(r[k]) for r, k in zip(rates, ~np.isnan(counts[..., 0]), strict=True)])
    kept = ~np.isnan(behavior).any(-1)
    _, group = np.unique(behavior[kept, :3], axis=0, return_inverse=True)
    speed, produced = speed[kept], np.asarray(behavior[kept, -1], np.float64)
    groups = [group == g for g in np.unique(group) if np.count_nonzero(group == g) > 1]
    if not groups:
        raise NeuralSDEError(f"tp-corr needs two trials of one condition; {len(produced)} trials have a condition.")
    return float(np.mean([pearson(speed[g], produced[g]) for g in groups]))


def mean_step(rates: np.ndarray) -> float:
    """Mean Euclidean step between successive rows of (bin, neuron)."""
    refuse_bad_rates(rates)
    return float(np.linalg.norm(np.diff(np.asarray(rates, np.float64), axis=0), axis=1).mean())


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two vectors; NaN where one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")
