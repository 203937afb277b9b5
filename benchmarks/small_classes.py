"""Peers for classes of small tables, fitted to the training series and scored on the test series."""

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from neuralsde.datamodules.irregular.baselines.classification import labels_of, minirocket_ridge
from neuralsde.datamodules.irregular.series import SeriesData, SeriesSet
from neuralsde.nn.encoders.summary import SummaryEncoder, statistics

SIMPLE = [0, 1, 2, 4]
"""Mean, deviation, slope and size of the steps, of `statistics`."""


def numbers_of(series: SeriesSet, encoder: SummaryEncoder) -> np.ndarray:
    """What `SummaryEncoder` reads, (series, channel, number), the statistics first."""
    values = torch.from_numpy(series.values)
    seen, clock = ~values.isnan(), torch.from_numpy(series.times - series.times[:, :1])
    values = values.nan_to_num()
    own = statistics(values, seen, clock / encoder.duration_s), encoder.powers(values, seen, clock)
    return torch.cat(own, 2).numpy()


def peers(data: SeriesData, encoder: SummaryEncoder, seed: int) -> dict[str, float]:
    """Accuracy and log loss of the usual class, of logistic regressions on simple statistics and on all that the model's
    encoder reads, and the accuracy of MiniRocket on lines between the values.

    Args:
        data: of classes.
        encoder: of the model.
        seed: of MiniRocket's kernels.
    """
    train, test = labels_of(data.train), labels_of(data.test)
    shares = np.bincount(train) / len(train)
    found = {"usual_accuracy": (test == shares.argmax()).mean(), "usual_log_loss": -np.log(shares[test]).mean()}
    numbers = [numbers_of(part, encoder) for part in (data.train, data.test)]
    for name, chosen in (("statistics", SIMPLE), ("same_numbers", slice(None))):
        learned, fresh = (part[:, :, chosen].reshape(len(part), -1) for part in numbers)
        penalties: Any = np.logspace(-4, 2, 7)  # whose stub takes their number alone
        logistic = LogisticRegressionCV(Cs=penalties, cv=5, scoring="neg_log_loss", max_iter=300)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            said = make_pipeline(StandardScaler(), logistic).fit(learned, train).predict_proba(fresh)
        found |= {f"{name}_accuracy": (said.argmax(1) == test).mean(), f"{name}_log_loss": log_loss(test, said)}
    found["minirocket_accuracy"] = minirocket_ridge(data, seed).scores["accuracy"]
    return {name: round(float(value), 3) for name, value in found.items()}
