"""Binned recordings in .npz or HDF5 files: trials, or one continuous recording that is cut into windows."""

from neuralsde.datamodules.arrays.module import ArrayData

__all__ = ["ArrayData"]
