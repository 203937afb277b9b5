"""The records of the PhysioNet/CinC Challenge 2012: found, parsed from their original text, and kept in HDF5."""

from neuralsde.datamodules.irregular.physionet.cache import load_records
from neuralsde.datamodules.irregular.physionet.parse import VARIABLES, Stays
from neuralsde.datamodules.irregular.physionet.sources import Source, find_sources

__all__ = ["VARIABLES", "Source", "Stays", "find_sources", "load_records"]
