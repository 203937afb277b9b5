"""What stands beside a model of hidden values: trivial predictors of the same split and masks, and the mTAN metric."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from neuralsde.datamodules.irregular.baselines import channel_mean, linear_interpolation
from neuralsde.datamodules.irregular.series import SeriesData
from neuralsde.datamodules.trials import Trials


def trivial_rows(data: SeriesData) -> Iterator[tuple[str, dict[str, float]]]:
    """Names and scores of the channel mean and of linear interpolation, whose `mtan_mse` is over all observed values."""
    yield "channel_mean", channel_mean(data).scores
    everywhere = linear_interpolation(data, "mtan").scores
    yield "linear_interpolation", linear_interpolation(data).scores | {"mtan_mse": everywhere["mse"]}


def heldout(trials: Trials) -> Trials:
    """Trials of which nothing is to be predicted that a model is shown."""
    assert trials.targets is not None
    assert trials.shown is not None
    return replace(trials, targets=np.where(np.isfinite(trials.shown), np.float32(np.nan), trials.targets))


def copied_through(trials: Trials, heldout_mse: float) -> dict[str, float]:
    """The mTAN metric, the mean square error over all observed values, of predictions that are the kept values where there are
    some: those have no error."""
    assert trials.targets is not None
    assert trials.shown is not None
    hidden, kept = int(np.isfinite(trials.targets).sum()), int(np.isfinite(trials.shown).sum())
    return {"mtan_mse": heldout_mse * hidden / (hidden + kept)}
