"""Recordings larger than memory: an HDF5 file of trials, whose batches are read as they are asked for."""

from neuralsde.datamodules.streamed.file import TrialFileWriter
from neuralsde.datamodules.streamed.module import TrialFile

__all__ = ["TrialFile", "TrialFileWriter"]
