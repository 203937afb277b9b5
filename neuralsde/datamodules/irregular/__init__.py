"""Irregular time series: every series with time stamps of its own, gaps as gaps."""

from neuralsde.datamodules.irregular.module import SeriesDataModule
from neuralsde.datamodules.irregular.mujoco import MujocoForecast
from neuralsde.datamodules.irregular.physionet2012 import Physionet2012
from neuralsde.datamodules.irregular.sepsis2019 import Sepsis2019
from neuralsde.datamodules.irregular.speech_commands import SpeechCommands
from neuralsde.datamodules.irregular.table import TableSeries
from neuralsde.datamodules.irregular.ucr import UCRArchive

__all__ = ["MujocoForecast", "Physionet2012", "Sepsis2019", "SeriesDataModule", "SpeechCommands", "TableSeries", "UCRArchive"]
