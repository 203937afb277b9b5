"""What a trivial predictor says of the rows that a model predicts: the model learns what it leaves over."""

from collections.abc import Callable

import numpy as np


def persistence(times: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Each channel's last observed value before (or at) the asked times, 0 where there is none.

    Args:
        times: of the rows, (series, row), increasing.
        values: (series, row, channel), NaN where not observed.
        asked: times, (series, asked), increasing.

    Returns:
        (series, asked, channel), float32.
    """
    rows = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, rows[:, None]), axis=1)
    before = np.stack([np.searchsorted(t, a, side="right") - 1 for t, a in zip(times, asked, strict=True)])
    last = np.take_along_axis(last, np.maximum(before, 0)[..., None], axis=1)
    last = np.where(before[..., None] >= 0, last, -1)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, found, np.float32(0))


def linear(times: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Each channel interpolated in time between its observed values, constant before and beyond them, 0 where there are none.

    Arguments as `persistence`.
    """
    out = np.zeros((*asked.shape, values.shape[2]), np.float32)
    observed = ~np.isnan(values)
    for n, channel in np.argwhere(observed.any(1)):
        seen = observed[n, :, channel]
        out[n, :, channel] = np.interp(asked[n], times[n, seen], values[n, seen, channel])
    return out


PREDICTORS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "persistence": persistence,
    "linear": linear,
}
