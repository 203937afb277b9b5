"""Intervals that hold for series that were not learned from: split conformal prediction, as a factor on what is predicted."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neuralsde.errors import CheckpointError
from neuralsde.evaluation.prediction import Prediction

PROBABILITY = 0.9
LEAST = 1e-2
"""Factor at least, of channels that are told exactly."""
MOST_PARTS = 50
"""Parts of the calibration's series that are left out in turn."""
LEAST_VALUES = 100
"""Known values of each channel from which on every channel has a factor of its own; of fewer all channels share one."""


@dataclass(frozen=True)
class Calibration:
    r"""How much wider the predictive distribution is than the model says, around its mean: $y \to m + s\,(y - m)$.

    Args:
        factor: $s$ of each channel, (channel,), above 0.
        probability: of the interval that it was fitted for.
        series: that it was fitted on.
        values: of these series that were known.
    """

    factor: np.ndarray
    probability: float
    series: int
    values: int

    @classmethod
    def fit(cls, scores: np.ndarray, probability: float = PROBABILITY, rounds: int = 1) -> "Calibration":
        r"""Of $n$ scores, which with that of a new value are exchangeable, the $\lceil (n + 1)\,p \rceil$-th smallest, so that
        the new value lies inside with probability $p$ at least, and $p + 1 / (n + 1)$ at most; the largest,
        which promises less, where $n$ is too small for that.

        Values of one series resemble each other, so that this holds for the mean over many calibrations, and that of a few
        series is off by more than that of as many values of their own.

        Args:
            scores: as `conformity` gives them, (series, bin, channel), NaN where not known.
            probability: $p$.
            rounds: how often the scores hold each series, all of them in turn.

        Source: Papadopoulos et al. 2002, "Inductive confidence machines for regression"; Lei et al. 2018, "Distribution-free
        predictive inference for regression", section 2.2.
        """
        known = (~np.isnan(scores)).sum((0, 1))
        if known.min() >= LEAST_VALUES:
            factor = np.array([conformal_quantile(scores[..., channel], probability) for channel in range(len(known))])
        else:
            factor = np.full(len(known), conformal_quantile(scores, probability))
        return cls(factor, probability, len(scores) // rounds, int(known.sum()))

    def widened(self, prediction: Prediction) -> Prediction:
        """The prediction with ends of intervals and quantiles moved away from the mean (or towards it).

        Raises:
            CheckpointError: it is that of other channels.
        """
        if len(self.factor) != prediction.rates.shape[-1]:
            raise CheckpointError(
                f"The calibration in the checkpoint is of {len(self.factor)} channels, but {prediction.rates.shape[-1]} are "
                "predicted: train again."
            )

        def moved(values: np.ndarray) -> np.ndarray:
            return (prediction.rates + self.factor * (values - prediction.rates)).astype(values.dtype)

        ends = {name: moved(end) for name in ("lower", "upper") if (end := getattr(prediction, name)) is not None}
        return replace(prediction, quantiles={p: moved(values) for p, values in prediction.quantiles.items()}, **ends)

    def plain(self) -> dict[str, Any]:
        """The same for a checkpoint."""
        return {**vars(self), "factor": torch.from_numpy(self.factor.astype(np.float64))}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Calibration":
        """What `plain` gave.

        Raises:
            CheckpointError: it is something else.
        """
        try:
            factor = plain["factor"].numpy()
            found = cls(factor, float(plain["probability"]), int(plain["series"]), int(plain["values"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"The calibration in the checkpoint is damaged ({error}): train again.") from error
        if factor.ndim != 1 or not (np.isfinite(factor) & (factor > 0)).all() or not 0 < found.probability < 1:
            raise CheckpointError("The calibration in the checkpoint is damaged (its factors are none): train again.")
        return found

    def told(self) -> str:
        """What it does, in words."""
        low, high = self.factor.min(), self.factor.max()
        factor = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
        few = math.ceil((self.values + 1) * self.probability) > self.values
        return (
            f"intervals are {factor} times as wide as the model says, by split conformal prediction on {self.values} values of "
            f"{self.series} validation series{', too few to promise it' if few else ''} (data.calibrate)"
        )


def conformal_quantile(scores: np.ndarray, probability: float) -> float:
    """The smallest score that is at least as large as a share of them, corrected for their number; 1 of none, and the largest
    finite one where they are too few."""
    known = np.sort(scores[np.isfinite(scores)])
    rank = math.ceil((np.count_nonzero(~np.isnan(scores)) + 1) * probability - 1e-9)
    return max(float(known[min(rank, len(known)) - 1]), LEAST) if len(known) else 1.0


def left_out(scores: np.ndarray, probability: float = PROBABILITY, rounds: int = 1) -> np.ndarray:
    """Factors for the series that a calibration is fitted on, each from the others alone, (series, 1, channel); of more than
    `MOST_PARTS` series from those outside its part of them. Arguments as `Calibration.fit`."""
    series = len(scores) // rounds
    part = np.arange(series) * min(series, MOST_PARTS) // series
    others = [np.tile(part != k, rounds) for k in range(part[-1] + 1)]
    factors = [Calibration.fit(scores[chosen], probability).factor for chosen in others]
    return np.stack(factors)[part][:, None]


def conformity(prediction: Prediction, truth: np.ndarray) -> np.ndarray:
    r"""The factor by which the interval of each value has to be wider, around the mean, to just hold it:

    $$s = \max\left(\frac{m - y}{m - l}, \frac{y - m}{u - m}\right).$$

    Args:
        prediction: with mean $m$ and the ends $l$, $u$ of an interval.
        truth: $y$, (trial, bin, channel), NaN where not known.
    """
    assert prediction.lower is not None
    assert prediction.upper is not None
    mean = prediction.rates
    with np.errstate(divide="ignore", invalid="ignore"):
        below, above = (mean - truth) / (mean - prediction.lower), (truth - mean) / (prediction.upper - mean)
    away = (prediction.lower > mean) | (prediction.upper < mean)  # of one tail alone: no factor helps
    found = np.where(away, np.inf, np.fmax(below, above))  # 0 / 0 where the truth is an end that lies in the mean
    return np.where(np.isnan(truth), np.nan, np.nan_to_num(found, nan=0.0, posinf=np.inf, neginf=-np.inf))
