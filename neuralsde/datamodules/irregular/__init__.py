"""Irregular time series: every series with time stamps of its own, gaps as gaps."""

from neuralsde.datamodules.irregular.module import SeriesDataModule
from neuralsde.datamodules.irregular.mujoco import MujocoForecast

__all__ = ["MujocoForecast", "SeriesDataModule"]
