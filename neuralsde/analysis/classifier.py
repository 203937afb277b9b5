"""Logistic regression of a trial's condition."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from neuralsde.analysis.ridge import trial_folds
from neuralsde.errors import DataError

STRENGTHS = np.logspace(-4, 1, 6)
"""Inverse penalties to choose from, of standardised features."""


@dataclass(frozen=True)
class FittedClassifier:
    """A logistic regression from the features of a trial to its condition.

    Args:
        search: scikit-learn's search, refitted to all training trials.
        weights: log-odds per feature, (feature, class); of two classes one column.
        intercept: (class,).
    """

    search: Any
    weights: np.ndarray
    intercept: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Conditions, (trial, 1, 1), from features (trial, 1, feature)."""
        return self.search.predict(features[:, 0]).astype(np.float64)[:, None, None]

    @property
    def chosen(self) -> dict[str, float]:
        """What cross-validation chose, and how well it did."""
        return {
            "C": float(self.search.best_params_["logisticregression__C"]),
            "validation_accuracy": float(self.search.best_score_),
        }


def fit_classifier(features: np.ndarray, labels: np.ndarray, folds: int, seed: int) -> FittedClassifier:
    """Multinomial logistic regression, with the penalty that classifies left-out trials best.

    Args:
        features: (trial, 1, feature).
        labels: (trial, 1, 1); NaN for a trial that is left out.
        folds: parts of the trials, each left out in its turn.
        seed: of the parts.

    Raises:
        DataError: there are fewer than two trials per fold, or fewer than two conditions.
    """
    known = ~np.isnan(labels[:, 0, 0])
    x, y = features[known, 0], labels[known, 0, 0].astype(int)
    if len(np.unique(y)) < 2:
        raise DataError(f"There are {len(np.unique(y))} conditions among the training trials, but decoding needs two.")
    split = PredefinedSplit(trial_folds(known, folds, seed)[known])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    search = GridSearchCV(model, {"logisticregression__C": STRENGTHS}, cv=split).fit(x, y)
    scaler, regression = search.best_estimator_[0], search.best_estimator_[1]
    weights = regression.coef_.T / scaler.scale_[:, None]
    return FittedClassifier(search, weights, regression.intercept_ - scaler.mean_ @ weights)
