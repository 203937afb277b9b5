"""Activity at several times relative to the behaviour."""

import math
from collections.abc import Sequence

import numpy as np

from neuralsde.errors import ConfigError


def bins_of(lags_ms: Sequence[float | int], bin_width_s: float, regular: bool, n_bins: int) -> tuple[int, ...]:
    """Lags in bins.

    Raises:
        ConfigError: there is no lag, one is not finite, no multiple of the bin width or as long as a trial, one occurs twice,
            or bins are not equally wide.
    """
    if not all(map(math.isfinite, lags_ms)):
        raise ConfigError(f"decode got lags_ms={list(lags_ms)}; give finite numbers, such as (0,) or (0, 40, 80).")
    lags = tuple(round(lag / (1e3 * bin_width_s)) for lag in lags_ms)
    if not lags or len(set(lags)) < len(lags):
        raise ConfigError(f"decode got lags_ms={list(lags_ms)}; give at least one lag, each once, such as (0,) or (0, 40, 80).")
    for lag, bins in zip(lags_ms, lags, strict=True):
        if abs(bins * 1e3 * bin_width_s - lag) > 1e-6:
            raise ConfigError(
                f"decode got a lag of {lag:g} ms, which is no multiple of the bin width of {1e3 * bin_width_s:g} ms."
            )
        if abs(bins) >= n_bins:
            raise ConfigError(f"decode got a lag of {lag:g} ms, but a trial has {n_bins} bins of {1e3 * bin_width_s:g} ms.")
    if lags != (0,) and not regular:
        raise ConfigError(f"decode got lags_ms={list(lags_ms)}, but the recording's bins are not equally wide: give (0,).")
    return lags


def lagged(activity: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Activity `lag` bins before each bin (after it, where negative), one lag after the other; beyond a trial's ends the
    activity at the end.

    Args:
        activity: (trial, bin, feature).
        lags: in bins.

    Returns:
        (trial, bin, lag * feature).
    """
    bins = np.arange(activity.shape[1])
    at = [np.clip(bins - lag, 0, len(bins) - 1) for lag in lags]
    return np.concatenate([activity[:, index] for index in at], axis=-1)
