"""Linear decoders, whose penalty is chosen by leaving out training trials."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from neuralsde.errors import DataError
from neuralsde.metrics.decoding import cross_validated

PENALTIES = np.logspace(-6, 1, 15)
"""Ridge penalties to choose from, per row, of standardised features."""


@dataclass(frozen=True)
class FittedRidge:
    """A ridge regression from the features of a bin to the values in it.

    Args:
        weights: value per feature, (feature, channel).
        intercept: (channel,).
        alpha: penalty of the standardised features.
        validation_r2: R² on training trials that were left out, with this penalty.
    """

    weights: np.ndarray
    intercept: np.ndarray
    alpha: float
    validation_r2: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Values, (trial, bin, channel), from features (trial, bin, feature)."""
        return features @ self.weights + self.intercept

    @property
    def chosen(self) -> dict[str, float]:
        """What cross-validation chose, and how well it did."""
        return {"alpha": self.alpha, "validation_r2": self.validation_r2}


def fit_ridge(features: np.ndarray, values: np.ndarray, folds: int, seed: int) -> FittedRidge:
    """Ridge regression on standardised features, with the penalty that predicts left-out trials best.

    Args:
        features: (trial, bin, feature).
        values: (trial, bin, channel); bins with a NaN are left out.
        folds: parts of the trials, each left out in its turn.
        seed: of the parts.

    Raises:
        DataError: there are fewer than two trials with known values per fold.
    """
    known = np.asarray(~np.isnan(values).any(-1))
    usable = np.asarray(known.any(1))
    part = np.where(usable, trial_folds(usable, folds, seed), -1)
    rows = np.broadcast_to(part[:, None], known.shape)[known]
    scaler = StandardScaler().fit(features[known])
    x, y = np.asarray(scaler.transform(features[known])), values[known]
    alphas = PENALTIES * len(x)
    scores = cross_validated(x, y, alphas, [rows == fold for fold in range(folds)])
    best = int(np.argmax(scores))
    ridge = Ridge(alpha=alphas[best]).fit(x, y)
    weights = np.atleast_2d(ridge.coef_).T / np.asarray(scaler.scale_)[:, None]
    intercept = np.atleast_1d(ridge.intercept_) - np.asarray(scaler.mean_) @ weights
    return FittedRidge(weights, intercept, float(alphas[best]), float(scores[best]))


def trial_folds(known: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Number of the fold of each trial, (trial,), as evenly as can be over the known ones.

    Raises:
        DataError: there are too few.
    """
    n = int(known.sum())
    if n < 2 * folds:
        raise DataError(
            f"Cross-validation in {folds} folds needs {2 * folds} training trials with a known target, but there are {n}."
        )
    number = np.zeros(len(known), int)
    number[known] = np.random.default_rng(seed).permutation(n) % folds
    return number
