"""Reading HDF5 so that whatever is wrong with a file comes out as one sentence."""

from difflib import get_close_matches
from pathlib import Path

import h5py
import numpy as np

from neuralsde.errors import DataError


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises:
        DataError: it does not exist, is no HDF5 file, or is cut short.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; check data.path.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "truncated" in str(error):
            raise DataError(f"{path}: the file is cut short ({one_line(error)}); fetch it again.") from error
        raise DataError(f"{path}: this is no HDF5 (NWB) file ({one_line(error)}); give an .nwb file.") from error


def read(dataset: h5py.Dataset, selection=()) -> np.ndarray:
    """The selected part of a dataset.

    Raises:
        DataError: the bytes cannot be read, since the file is damaged.
    """
    try:
        return np.asarray(dataset[selection])
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise DataError(
            f"{dataset.file.filename}: `{dataset.name}` cannot be read, the file is damaged ({one_line(error)}); "
            "fetch it again."
        ) from error


def group_in(parent: h5py.Group, name: str) -> h5py.Group | None:
    """The group called `name`, None where there is none."""
    item = member(parent, name)
    return item if isinstance(item, h5py.Group) else None


def dataset_in(parent: h5py.Group, name: str) -> h5py.Dataset | None:
    """The dataset called `name`, None where there is none."""
    item = member(parent, name)
    return item if isinstance(item, h5py.Dataset) else None


def member(parent: h5py.Group, name: str):
    try:
        return parent.get(name)
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(
            f"{parent.file.filename}: `{name}` cannot be read, the file is damaged ({one_line(error)}); fetch it again."
        ) from error


def text_attribute(item: h5py.Group, name: str) -> str:
    value = item.attrs.get(name, "")
    return value.decode() if isinstance(value, bytes) else str(value)


def one_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def choices(name: str, names: list[str]) -> str:
    """The end of a sentence about a name that is not there: what was perhaps meant, and what there is."""
    close = get_close_matches(name, names, n=1)
    meant = f", perhaps `{close[0]}`" if close else ""
    return f"give one of those there are{meant}: {', '.join(names) or 'none'}"
