"""A table of an NWB file (trials, units), read column by column."""

import h5py
import numpy as np

from neuralsde.datamodules.nwb.hdf5 import choices, dataset_in, read
from neuralsde.errors import DataError


class Table:
    """A table of an NWB file.

    Args:
        group: the HDF5 group that holds one dataset per column.
        what: what to call it in an error, such as `trials`.
    """

    def __init__(self, group: h5py.Group, what: str):
        self._group, self.what, self.path = group, what, group.file.filename

    @property
    def columns(self) -> list[str]:
        """Names of the columns, `id` aside."""
        names = [str(name) for name in self._group]
        return sorted(name for name in names if name != "id" and not name.endswith("_index"))

    def __contains__(self, name: str) -> bool:
        return dataset_in(self._group, name) is not None

    def __len__(self) -> int:
        ids = dataset_in(self._group, "id")
        return 0 if ids is None else len(ids)

    def dataset(self, name: str, setting: str = "") -> h5py.Dataset:
        """The dataset of a column; `setting` is the data setting that asked for it, named in the error.

        Raises:
            DataError: there is no such column.
        """
        if (dataset := dataset_in(self._group, name)) is None:
            asked = f", asked for by data.{setting}" if setting else ""
            raise DataError(f"{self.path}: the {self.what} table has no column `{name}`{asked}; {choices(name, self.columns)}.")
        return dataset

    def column(self, name: str, setting: str = "") -> np.ndarray:
        """One value per row, (row,); bytes come as text.

        Raises:
            DataError: there is no such column, or it holds several values per row.
        """
        dataset = self.dataset(name, setting)
        if dataset.ndim != 1 or f"{name}_index" in self:
            raise DataError(
                f"{self.path}: column `{name}` of the {self.what} table, asked for by data.{setting or name}, holds "
                "lists; name a column with one value per row."
            )
        if h5py.check_string_dtype(dataset.dtype) is None:
            return read(dataset)
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in read(dataset)], dtype=np.str_)

    def numbers(self, name: str, setting: str = "") -> np.ndarray:
        """A column of numbers (or of true and false), (row,), float64.

        Raises:
            DataError: there is no such column, or it holds text or lists.
        """
        values = self.column(name, setting)
        if values.dtype.kind not in "biuf":
            raise DataError(
                f"{self.path}: column `{name}` of the {self.what} table, asked for by data.{setting or name}, holds "
                f"text such as `{values[0]}`, but numbers are needed."
            )
        return values.astype(np.float64)

    def ends(self, name: str) -> np.ndarray:
        """Where each row's list ends in an indexed column, (row,)."""
        return read(self.dataset(f"{name}_index")).astype(np.int64)

    def rows(self, name: str, index: int) -> np.ndarray:
        """The list that row `index` holds in an indexed column."""
        ends = read(self.dataset(f"{name}_index"), slice(max(index - 1, 0), index + 1)).astype(np.int64)
        start = 0 if index == 0 else int(ends[0])
        return read(self.dataset(name), slice(start, int(ends[-1]))).astype(np.float64)
