"""Recordings in NWB files, read with h5py: the Neural Latents Benchmark's seven sets and the user's own."""

from neuralsde.datamodules.nwb.module import NWBDataModule

__all__ = ["NWBDataModule"]
