"""A table of an NWB file (trials, units), read column by column."""

import h5py
import numpy as np

from neuralsde.datamodules.memory import refuse_enormous
from neuralsde.datamodules.nwb.hdf5 import choices, dataset_in, names_in, read
from neuralsde.errors import DataError


class Table:
    """A table of an NWB file.

    Args:
        group: the HDF5 group that holds one dataset per column.
        what: what to call it in an error, such as `trials`.
    """

    def __init__(self, group: h5py.Group, what: str):
        self._group, self.what, self.path = group, what, group.file.filename
        self._ends: dict[str, np.ndarray] = {}

    @property
    def columns(self) -> list[str]:
        """Names of the columns, `id` aside."""
        return sorted(name for name in names_in(self._group) if name != "id" and not name.endswith("_index"))

    def __contains__(self, name: str) -> bool:
        return dataset_in(self._group, name) is not None

    def __len__(self) -> int:
        ids = dataset_in(self._group, "id")
        return 0 if ids is None or ids.ndim < 1 else len(ids)

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
            DataError: there is no such column, or it holds several values per row, or values for too many or few rows.
        """
        dataset = self.dataset(name, setting)
        if dataset.ndim != 1 or index_of(name) in self:
            raise DataError(f"{self.where(name, setting)} holds lists; name a column with one value per row.")
        self.check_length(name, dataset)
        if h5py.check_string_dtype(dataset.dtype) is None:
            return read(dataset)
        words = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in read(dataset)]
        refuse_enormous(4 * len(words) * max(map(len, words), default=0), self.path, f"column `{name}`")  # all as wide as one
        return np.array(words, dtype=np.str_)

    def check_length(self, name: str, dataset: h5py.Dataset) -> None:
        """Raises:
        DataError: a column has not one entry per row.
        """
        if len(dataset) != len(self):
            raise DataError(f"{self.where(name)} has {len(dataset)} rows, but the table has {len(self)}; write the file again.")

    def where(self, name: str, setting: str = "") -> str:
        """The start of a sentence about a column: the file, the table, and the data setting that asked for it."""
        asked = f", asked for by data.{setting}," if setting else ""
        return f"{self.path}: column `{name}` of the {self.what} table{asked}"

    def numbers(self, name: str, setting: str = "") -> np.ndarray:
        """A column of numbers (or of true and false), (row,), float64.

        Raises:
            DataError: there is no such column, or it holds text or lists.
        """
        values = self.column(name, setting)
        if values.dtype.kind not in "biuf":
            example = f"text such as `{values[0]}`" if values.dtype.kind in "UOS" else f"values of type {values.dtype}"
            raise DataError(f"{self.where(name, setting)} holds {example}, but numbers are needed.")
        return values.astype(np.float64)

    def ends(self, name: str) -> np.ndarray:
        """Where each row's list ends in an indexed column, (row,).

        Raises:
            DataError: the column is not there or holds no numbers, or its index is not one of a list per row.
        """
        if name not in self._ends:
            self._ends[name] = self._read_ends(name)
        return self._ends[name]

    def _read_ends(self, name: str) -> np.ndarray:
        values, index = self.dataset(name), self.dataset(index_of(name))
        if values.ndim < 1 or values.dtype.kind not in "biuf":
            raise DataError(f"{self.where(name)} holds no list of numbers; write the file again.")
        if index.ndim != 1 or index.dtype.kind not in "iu":
            raise DataError(
                f"{self.where(index_of(name))} has shape {index.shape} and type {index.dtype}, but one integer per row is "
                "needed; write the file again."
            )
        self.check_length(index_of(name), index)
        ends = read(index).astype(np.int64)
        steps = np.diff(ends, prepend=0)
        if (steps < 0).any():
            row = int(np.argmax(steps < 0))
            raise DataError(
                f"{self.where(index_of(name))} falls to {ends[row]} in row {row}, but an index never falls; "
                "write the file again."
            )
        if ends[-1] > len(values):
            raise DataError(
                f"{self.where(index_of(name))} ends at {ends[-1]}, but `{name}` has {len(values)} entries; "
                "write the file again."
            )
        return ends

    def rows(self, name: str, index: int) -> np.ndarray:
        """The list that row `index` holds in an indexed column.

        Raises:
            DataError: the column or its index is damaged, or the list holds NaN or infinite values.
        """
        ends = self.ends(name)
        return self.finite(name, index, slice(0 if index == 0 else int(ends[index - 1]), int(ends[index])))

    def finite(self, name: str, index: int, selection) -> np.ndarray:
        """A selection of an indexed column's values, which belong to row `index`.

        Raises:
            DataError: some are NaN or infinite.
        """
        values = read(self.dataset(name), selection).astype(np.float64)
        if not np.isfinite(values).all():
            found = "NaN" if np.isnan(values).any() else "infinite values"
            raise DataError(
                f"{self.path}: `{name}` of {self.what.removesuffix('s')} {self.column('id')[index]} holds {found}, but "
                "finite numbers are needed; write the file again without them."
            )
        return values


def index_of(name: str) -> str:
    """Name of the column that says where each row's list in the column `name` ends."""
    return f"{name}_index"
