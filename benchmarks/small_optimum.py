"""The best that can be said of the generated series of `small_tables`: their own conditional distributions, in closed form."""

import numpy as np
from scipy.special import softmax

from benchmarks.small_series import CENTRE, LEVEL, MIXING, NOISE, RETURN_TIMES, STATE_NOISE, WIDTH, waves_at
from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.irregular import SeriesDataModule
from neuralsde.metrics.mixtures import mixture_crps

PHASES = 4000
LEAST = 1e-6
"""Weights below are left out."""
Mixture = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Weights (part,), means (part, value) and deviations (part, value)."""


def returning_optimum(times: np.ndarray, shown: np.ndarray, row: np.ndarray, channel: np.ndarray) -> Mixture:
    """Of mixed Ornstein-Uhlenbeck processes with noise: Gaussian conditioning, with the covariance
    $\\sum_k M_{ka} M_{kb} e^{-|t - t'| / T_k}$ of channels $a$, $b$.

    Args:
        times: (row,).
        shown: (row, channel), NaN where not known, in the generator's units.
        row: of the values that are asked for, (value,).
        channel: of these, (value,).
    """
    rows, channels = np.nonzero(~np.isnan(shown))

    def covariance(one: np.ndarray, a: np.ndarray, other: np.ndarray, b: np.ndarray) -> np.ndarray:
        kept = np.exp(-np.abs(times[one, None] - times[other])[..., None] / RETURN_TIMES)
        return (kept * MIXING[:, a].T[:, None] * MIXING[:, b].T).sum(2)

    known = covariance(rows, channels, rows, channels) + STATE_NOISE**2 * np.eye(len(rows))
    gain = np.linalg.solve(known, covariance(rows, channels, row, channel)).T
    variance = (MIXING[:, channel] ** 2).sum(0) + STATE_NOISE**2 - (gain * covariance(row, channel, rows, channels)).sum(1)
    return np.ones(1), (gain @ shown[rows, channels])[None], np.sqrt(variance)[None]


def waves_optimum(times: np.ndarray, shown: np.ndarray, row: np.ndarray, channel: np.ndarray) -> Mixture:
    """Of waves of an unknown phase around an unknown level: a mixture over a grid of phases, in each of which the level is
    Gaussian; arguments as `returning_optimum`."""
    phase = 2 * np.pi * np.arange(PHASES) / PHASES
    wave = waves_at(times, phase[:, None])  # (phase, row, channel)
    rest = shown - wave
    first = ~np.isnan(shown[:, 0])
    precision = first.sum() / NOISE**2 + 1 / LEVEL**2
    mean = rest[:, first, 0].sum(1) / NOISE**2 / precision
    squares = np.nansum(rest**2, (1, 2)) / NOISE**2 - precision * mean**2
    weight = softmax(-squares / 2)
    kept = weight > LEAST
    level = channel == 0
    means = wave[kept][:, row, channel] + mean[kept, None] * level
    deviation = np.sqrt(NOISE**2 + level / precision)
    return weight[kept] / weight[kept].sum(), means, np.broadcast_to(deviation, means.shape)


OPTIMA = {"waves": waves_optimum, "returning": returning_optimum}


def best_possible(table: str, data: SeriesDataModule) -> dict[str, np.ndarray]:
    """RMSE and CRPS of the conditional distributions on the evaluation series, (channel,), in the table's units.

    Args:
        table: what generated them.
        data: that keep all rows of a series.
    """
    trials, squares, distances = data.data.eval, [], []
    truth = trials.in_units(stack_targets(trials, data.spec))
    assert trials.shown is not None
    assert trials.stamps is not None
    found_at = []
    for times, shown, values in zip(trials.stamps, trials.shown, truth, strict=True):
        row, channel = np.nonzero(~np.isnan(values))
        y = ((values - CENTRE) / WIDTH)[row, channel]
        weight, mean, std = OPTIMA[table](times, (shown - CENTRE) / WIDTH, row, channel)
        squares.append((weight @ mean - y) ** 2)
        distances.append(mixture_crps(mean, std, y, weight[:, None]))
        found_at.append(channel)
    channel = np.concatenate(found_at)
    count = np.bincount(channel)
    rmse = np.sqrt(np.bincount(channel, np.concatenate(squares)) / count)
    return {"rmse": WIDTH * rmse, "crps": WIDTH * np.bincount(channel, np.concatenate(distances)) / count}
