"""Reading HDF5 so that whatever is wrong with a file comes out as one sentence, and nothing outside the file is read."""

import math
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from neuralsde.datamodules.memory import FLOOR_BYTES, refuse_enormous
from neuralsde.datamodules.nwb.heaps import refuse_endless_heaps
from neuralsde.errors import DataError

T = TypeVar("T")
MOST_LINKS = 16
"""Links that may point to each other before the file is held to be damaged."""
FEWEST_ROWS = 16
"""Rows of texts that are read at a time, however large the file."""
OBJECT_BYTES = 256
"""What a text or list takes as an object of Python's, on the way to an array."""
UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, AttributeError, MemoryError, SystemError)
"""What h5py raises on a damaged file, by what it meets first."""


def open_hdf5(path: Path, kind: str = "HDF5 (NWB) file", give: str = "give an .nwb file") -> h5py.File:
    """Open an HDF5 file for reading.

    Args:
        path: the file.
        kind: what it should be, for the error's sentence.
        give: what the user may do about it, likewise.

    Raises:
        DataError: it does not exist, is no HDF5 file, or is cut short.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; check data.path.")
    refuse_endless_heaps(path)
    try:
        return h5py.File(path, "r")
    except UNREADABLE as error:
        if "truncated" in str(error):
            raise DataError(f"{path}: the file is cut short ({one_line(error)}); fetch it again.") from error
        raise DataError(f"{path}: this is no {kind} ({one_line(error)}); {give}.") from error


def read(dataset: h5py.Dataset, selection=()) -> np.ndarray:
    """The selected part of a dataset.

    Args:
        dataset: one that `dataset_in` gave.
        selection: all of it, rows, or an entry.

    Raises:
        DataError: the bytes cannot be read, since the file is damaged, or are more than it can hold.
    """
    if dataset.dtype.kind == "V":
        raise DataError(
            f"{dataset.file.filename}: `{dataset.name}` holds several values in each entry; give one number, "
            "truth value or word for each."
        )
    refuse_enormous(selected_bytes(dataset, selection), dataset.file.filename, f"`{dataset.name}`")
    if dataset.dtype.kind == "O" and selection == () and dataset.ndim == 1:
        return read_variable(dataset)
    return guarded(dataset, lambda: np.asarray(dataset[selection]))


def read_variable(dataset: h5py.Dataset) -> np.ndarray:
    """A column of texts or lists, some rows at a time: each may stand for as many bytes as the whole file.

    Raises:
        DataError: it cannot be read, or they are more than the file can hold.
    """
    path = dataset.file.filename
    refuse_enormous(len(dataset) * OBJECT_BYTES, path, f"`{dataset.name}`")
    size = Path(path).stat().st_size
    at_once = max(2 * FLOOR_BYTES // size, FEWEST_ROWS)
    parts, total = [np.zeros(0, object)], 0
    for start in range(0, len(dataset), at_once):
        part = guarded(dataset, lambda start=start: np.asarray(dataset[start : start + at_once], object))
        sizes = (one.nbytes if isinstance(one, np.ndarray) else len(one) if isinstance(one, bytes) else 8 for one in part)
        total += sum(sizes)
        refuse_enormous(total, path, f"`{dataset.name}`")
        parts.append(part)
    return np.concatenate(parts)


def selected_bytes(dataset: h5py.Dataset, selection: Any) -> int:
    """What reading a part of a dataset takes in memory: its entries, and the largest piece that is unpacked on the way."""
    rows = dataset.shape[0] if dataset.ndim else 1
    if isinstance(selection, slice):
        rows = len(range(*selection.indices(rows)))
    elif selection != ():
        rows = 1
    entries = rows * math.prod(dataset.shape[1:])
    return max(entries, math.prod(dataset.chunks or ())) * dataset.dtype.itemsize


def group_in(parent: h5py.Group, name: str) -> h5py.Group | None:
    """The group called `name`, None where there is none."""
    item = member(parent, name)
    return item if isinstance(item, h5py.Group) else None


def dataset_in(parent: h5py.Group, name: str) -> h5py.Dataset | None:
    """The dataset called `name`, with a shape and a type that can be read; None where there is none.

    Raises:
        DataError: it is damaged, or its bytes lie in another file.
    """
    item = member(parent, name)
    if not isinstance(item, h5py.Dataset):
        return None
    elsewhere = guarded(item, lambda: bool(item.external or item.is_virtual))
    if elsewhere:
        raise DataError(
            f"{item.file.filename}: `{name}` lies in another file, which is not read; write all of it into one file."
        )
    shape = guarded(item, lambda: (item.dtype, item.chunks) and item.shape)
    if shape is None or max(shape, default=0) >= 1 << 62:
        raise DataError(f"{item.file.filename}: `{name}` has the shape {shape}, the file is damaged; fetch it again.")
    return item


def member(parent: h5py.Group, name: str, links: int = 0) -> Any:
    """What lies under a name, or a path of names, and in the same file; None where there is nothing.

    Raises:
        DataError: it cannot be read, or is a link to another file or one that leads nowhere.
    """
    item: Any = parent
    for part in name.strip("/").split("/"):
        if not isinstance(item, h5py.Group):
            return None
        item = step(item, part, links)
    return item


def step(group: h5py.Group, name: str, links: int) -> Any:
    """What one name in a group stands for; links are followed by hand, since HDF5 would open other files for them."""
    link = guarded(group, lambda: group.get(name, getlink=True))
    if isinstance(link, h5py.ExternalLink):
        raise DataError(
            f"{group.file.filename}: `{name}` is a link to another file, which is not followed; write all of it into one file."
        )
    if isinstance(link, h5py.SoftLink):
        if links == MOST_LINKS:
            raise DataError(f"{group.file.filename}: `{name}` is a link that leads back to itself, the file is damaged.")
        begin = group.file if link.path.startswith("/") else group
        return member(begin, link.path, links + 1)
    return None if link is None else guarded(group, lambda: group.get(name))


def visit(group: h5py.Group, found: Callable[[str, Any], None]) -> None:
    """Call `found` with path and item of everything below a group; links are not followed.

    Raises:
        DataError: the file is damaged.
    """
    names: list[str] = []
    guarded(group, lambda: group.visit(names.append))  # only collects: what `found` raises is its own
    for name in names:
        found(name, member(group, name))


def names_in(group: h5py.Group) -> list[str]:
    """Names of what a group holds."""
    return guarded(group, lambda: [str(name) for name in group])


def attribute(item: h5py.Group | h5py.Dataset, name: str, otherwise: Any = None) -> Any:
    """An attribute of an item, or `otherwise` where it has none."""
    return guarded(item, lambda: item.attrs.get(name, otherwise))


def text_attribute(item: h5py.Group, name: str) -> str:
    value = attribute(item, name, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def guarded(item: h5py.Group | h5py.Dataset, use: Callable[[], T]) -> T:
    """What `use` makes of an item.

    Raises:
        DataError: the file is damaged there.
    """
    try:
        return use()
    except UNREADABLE as error:
        raise DataError(
            f"{item.file.filename}: `{item.name}` cannot be read, the file is damaged ({one_line(error)}); fetch it again."
        ) from error


def one_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def choices(name: str, names: list[str]) -> str:
    """The end of a sentence about a name that is not there: what was perhaps meant, and what there is."""
    close = get_close_matches(name, names, n=1)
    meant = f", perhaps `{close[0]}`" if close else ""
    return f"give one of those there are{meant}: {', '.join(names) or 'none'}"
