"""Trivial predictors of irregular series, beside which every model is reported, on the same split and the same masks."""

from neuralsde.datamodules.irregular.baselines.classification import majority, minirocket_ridge
from neuralsde.datamodules.irregular.baselines.forecast import last3_ridge, persistence, window_ridge
from neuralsde.datamodules.irregular.baselines.interpolation import channel_mean, linear_interpolation
from neuralsde.datamodules.irregular.baselines.result import Baseline

__all__ = [
    "Baseline",
    "channel_mean",
    "last3_ridge",
    "linear_interpolation",
    "majority",
    "minirocket_ridge",
    "persistence",
    "window_ridge",
]
