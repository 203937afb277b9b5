"""What a trivial predictor says of the rows that a model predicts: the model learns what it leaves over."""

from collections.abc import Callable

import numpy as np

from neuralsde.datamodules.irregular.baselines.known import interpolated_at
from neuralsde.datamodules.irregular.series import SeriesSet

Predictor = Callable[[SeriesSet, np.ndarray, np.ndarray], np.ndarray]
"""Of a set, times asked for (series, asked) and a fallback (channel,): values there, (series, asked, channel)."""


def persistence(series: SeriesSet, asked: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """Each channel's last observed value at or before the asked times, the fallback where there is none."""
    observed, rows = ~np.isnan(series.values), np.arange(series.values.shape[1])
    last = np.maximum.accumulate(np.where(observed, rows[:, None], -1), axis=1)
    before = np.stack([np.searchsorted(t, a, side="right") - 1 for t, a in zip(series.times, asked, strict=True)])[..., None]
    row = np.where(before >= 0, np.take_along_axis(last, np.maximum(before, 0), axis=1), -1)
    return np.where(row >= 0, np.take_along_axis(series.values, np.maximum(row, 0), axis=1), fallback)


PREDICTORS: dict[str, Predictor] = {"persistence": persistence, "linear": interpolated_at}
