"""What a baseline predicts of the test series, and how good that is."""

from dataclasses import dataclass

import numpy as np

from neuralsde.metrics.intervals import gaussian_crps, gaussian_nll

LEAST_STD = 1e-8
"""Deviations are at least this: a constant channel would have none, and its density would be infinite."""


@dataclass(frozen=True)
class Baseline:
    """A baseline's result.

    Args:
        name: of the baseline.
        scores: of the test series, by name.
        mean: what it predicts of them: (series, ahead or row, channel), or the class (series,).
        std: deviation of the Gaussian around the mean, same shape; None for classes.
    """

    name: str
    scores: dict[str, float]
    mean: np.ndarray
    std: np.ndarray | None = None


def scored(name: str, mean: np.ndarray, std: np.ndarray, truth: np.ndarray) -> Baseline:
    """A result of Gaussian predictions.

    Args:
        name: of the baseline.
        mean: predicted, (series, row, channel).
        std: deviation, of a shape that broadcasts to it.
        truth: what was to be predicted; NaN marks what does not count.
    """
    std = np.broadcast_to(std, truth.shape)
    mse = float(np.nanmean((mean - truth) ** 2, dtype=np.float64))
    return Baseline(
        name, {"mse": mse, "nll": gaussian_nll(mean, std, truth), "crps": gaussian_crps(mean, std, truth)}, mean, std
    )


def fitted_std(mean: np.ndarray, truth: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Root mean square error of predictions over `axes`; that of all entries where none of them counts.

    Args:
        mean: predicted for validation series, (series, row, channel).
        truth: what was to be predicted, NaN where nothing counts.
        axes: that are averaged over.
    """
    squared = (mean - truth).astype(np.float64) ** 2
    known = ~np.isnan(squared)
    n = known.sum(axes, keepdims=True)
    total = np.where(known, squared, 0.0)
    pooled = total.sum() / max(known.sum(), 1)
    return np.maximum(np.sqrt(np.where(n > 0, total.sum(axes, keepdims=True) / np.maximum(n, 1), pooled)), LEAST_STD)
