"""Access to an NWB file through h5py alone: trials, units and time series, each read only when asked for."""

from pathlib import Path

import h5py

from neuralsde.datamodules.nwb.hdf5 import group_in, open_hdf5
from neuralsde.datamodules.nwb.series import Series, find_series
from neuralsde.datamodules.nwb.table import Table
from neuralsde.errors import DataError


class Recording:
    """An NWB file that is open for reading; use it in a `with` statement.

    Raises:
        DataError: no such file, no HDF5 file, a truncated one, or one without trials or without units.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        try:
            self.trials = table_in(self._file, "intervals/trials", "trials")
            self.units = table_in(self._file, "units", "units")
            self.units.dataset("spike_times")
            self.units.dataset("spike_times_index")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def series(self, name: str) -> Series:
        """The time series called `name`, still on disk.

        Raises:
            DataError: there is no such series, or several.
        """
        return find_series(self._file, name)


def table_in(file: h5py.File, name: str, what: str) -> Table:
    """A table that has rows.

    Raises:
        DataError: it is missing or empty.
    """
    group = group_in(file, name)
    if group is None or not len(table := Table(group, what)):
        raise DataError(
            f"{file.filename}: holds no {what} (`{name}` is missing or empty), so there is nothing to train on; "
            "give an NWB file with a trials table and sorted units."
        )
    return table
