"""Classes by the most frequent one, and by MiniRocket on linearly interpolated series."""

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from neuralsde.datamodules.irregular.assemble import inside
from neuralsde.datamodules.irregular.baselines.known import channel_means, interpolated_at
from neuralsde.datamodules.irregular.baselines.result import Baseline
from neuralsde.datamodules.irregular.extras import extra_module
from neuralsde.datamodules.irregular.series import SeriesData, SeriesSet
from neuralsde.errors import DataError

MOST_POINTS = 5000
SHORTEST = 9
"""MiniRocket's kernels have nine weights."""


def majority(data: SeriesData) -> Baseline:
    """The class that most training series have."""
    usual = int(np.bincount(labels_of(data.train)).argmax())
    return graded("majority", np.full(len(data.test), usual), data.test)


def minirocket_ridge(data: SeriesData, seed: int = 0, n_kernels: int = 10_000) -> Baseline:
    """MiniRocket features of the series, linearly interpolated and scaled by training series, and a ridge classifier.

    Validation series are not used: the penalty is chosen by leaving training series out.

    Args:
        data: with labels.
        seed: of the kernels.
        n_kernels: how many.

    Raises:
        ConfigError: aeon is not installed.
        DataError: the series have no labels.

    Source: Dempster, Schmidt & Webb, "MiniRocket", KDD 2021.
    """
    rocket = extra_module("aeon.transformations.collection.convolution_based", "irregular", "MiniRocket")
    grid, means = common_grid(data.train), channel_means(data.train)
    train, test = (interpolated_at(s, np.tile(grid, (len(s), 1)), means) for s in (data.train, data.test))
    centre, width = train.mean((0, 1)), train.std((0, 1))
    width = np.where(width == 0, 1.0, width)
    train, test = (np.ascontiguousarray(((x - centre) / width).transpose(0, 2, 1), np.float32) for x in (train, test))
    features = rocket.MiniRocket(n_kernels=n_kernels, random_state=seed)
    classifier = make_pipeline(StandardScaler(with_mean=False), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))
    classifier.fit(features.fit_transform(train), labels_of(data.train))
    return graded("minirocket_ridge", classifier.predict(features.transform(test)), data.test)


def common_grid(series: SeriesSet) -> np.ndarray:
    """Equally spaced times over all series, as close as their closest rows, (point,)."""
    rows = inside(series)
    first, last = series.times.min(), series.times.max()
    steps = np.diff(series.times, axis=1)[rows[:, 1:]]
    points = round((last - first) / steps.min()) + 1 if len(steps) else SHORTEST
    return np.linspace(first, last, int(np.clip(points, SHORTEST, MOST_POINTS)))


def labels_of(series: SeriesSet) -> np.ndarray:
    """Class of each series.

    Raises:
        DataError: the series have none.
    """
    if series.labels is None:
        raise DataError("The series have no classes; classification baselines need data whose task is classification.")
    return series.labels


def graded(name: str, predicted: np.ndarray, series: SeriesSet) -> Baseline:
    """A result with its accuracy."""
    return Baseline(name, {"accuracy": float((predicted == labels_of(series)).mean())}, predicted)
