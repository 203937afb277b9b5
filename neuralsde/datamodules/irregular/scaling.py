"""Channels brought to a common scale, by the statistics of the training series or, as some papers do, of all series."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from neuralsde.datamodules.irregular.series import SeriesData, SeriesSet
from neuralsde.errors import ConfigError

KINDS = ("z", "min_max", "range", "none")
STATS = ("train", "all")
STATISTICS: dict[str, Callable[[np.ndarray], tuple[float, float]]] = {
    "z": lambda x: (float(x.mean()), float(x.std())),
    "min_max": lambda x: (float(x.min()), abs(float(x.max()))),
    "range": lambda x: (float(x.min()), float(np.ptp(x))),
}
"""Centre and width of a channel's known values, by kind of scale."""


@dataclass(frozen=True)
class Scale:
    """value → (value − centre) / width, per channel.

    Args:
        centre: (channel,), float64.
        width: (channel,), float64, above 0.
    """

    centre: np.ndarray
    width: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Scaled values (…, channel), float32; NaN stays."""
        return ((values - self.centre) / self.width).astype(np.float32)

    def undo(self, values: np.ndarray) -> np.ndarray:
        """Values in the data's own unit, (…, channel)."""
        return values * self.width + self.centre


def largest_or_one(largest: np.ndarray) -> np.ndarray:
    """Largest values as divisors: 1 where they are 0."""
    return np.where(largest == 0, 1.0, largest)


def fit_scale(values: np.ndarray, kind: str) -> Scale:
    """What scales channels.

    `z` takes mean and standard deviation; `min_max` is (x − min) / |max|, as the published code on PhysioNet 2012 has it;
    `range` is (x − min) / (max − min). A channel that is constant, or never seen, is divided by 1.

    Args:
        values: (row, channel), NaN where unknown.
        kind: one of `KINDS`.

    Raises:
        ConfigError: `kind` is none of them.
    """
    if kind not in KINDS:
        raise ConfigError(f"data.reader.scale is {kind}; give one of {', '.join(KINDS)}.")
    n_channels = values.shape[1]
    if kind == "none":
        return Scale(np.zeros(n_channels), np.ones(n_channels))
    seen = [column[~np.isnan(column)].astype(np.float64) for column in values.T]
    centre, width = zip(*(STATISTICS[kind](c) if len(c) else (0.0, 1.0) for c in seen), strict=True)
    return Scale(np.array(centre), largest_or_one(np.array(width)))


def seen_rows(series: SeriesSet) -> np.ndarray:
    """Everything that is known of the channels, (row, channel): targets where there are any, else values; and what is ahead."""
    within = series.values if series.targets is None else series.targets
    parts = [within.reshape(-1, within.shape[-1])]
    if series.ahead is not None:
        parts.append(series.ahead.reshape(-1, within.shape[-1]))
    return np.concatenate(parts)


def standardise(data: SeriesData, kind: str = "z", stats: str = "train") -> tuple[SeriesData, Scale]:
    """The data with channels on a common scale, and the scale.

    Args:
        data: what a reader gave.
        kind: see `fit_scale`.
        stats: `train` looks at training series alone, `all` at every series, as some papers do.

    Raises:
        ConfigError: `kind` or `stats` is not one of those there are.
    """
    if stats not in STATS:
        raise ConfigError(f"data.reader.stats is {stats}; give one of {', '.join(STATS)}.")
    looked_at = (data.train,) if stats == "train" else (data.train, data.val, data.test)
    scale = fit_scale(np.concatenate([seen_rows(s) for s in looked_at]), kind)
    train, val, test = (scaled(s, scale) for s in (data.train, data.val, data.test))
    return replace(data, train=train, val=val, test=test), scale


def scaled(series: SeriesSet, scale: Scale) -> SeriesSet:
    """A set whose values, targets and values ahead are scaled."""
    return replace(
        series,
        values=scale(series.values),
        targets=None if series.targets is None else scale(series.targets),
        ahead=None if series.ahead is None else scale(series.ahead),
    )


def standardise_static(data: SeriesData, columns: int, kind: str = "z", stats: str = "train") -> SeriesData:
    """The data with the first `columns` static columns on a common scale; arguments as `standardise`."""
    looked_at = (data.train,) if stats == "train" else (data.train, data.val, data.test)
    rows = [s.static[:, :columns] for s in looked_at if s.static is not None]
    scale = fit_scale(np.concatenate(rows), kind)
    train, val, test = (
        s if s.static is None else replace(s, static=np.concatenate([scale(s.static[:, :columns]), s.static[:, columns:]], 1))
        for s in (data.train, data.val, data.test)
    )
    return replace(data, train=train, val=val, test=test)
