"""HDF5 files that are written whole or not at all."""

import io
from collections.abc import Callable
from pathlib import Path

import h5py

from neuralsde.datamodules.nwb.hdf5 import one_line
from neuralsde.errors import DataError
from neuralsde.files import write_atomically


def write_file(path: Path, fill: Callable[[h5py.File], None]) -> None:
    """Put a new file, as `fill` fills it, in the place of what was at `path`.

    Raises:
        DataError: it cannot be written.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    write_image(path, buffer.getvalue())


def edit_file(path: Path, edit: Callable[[h5py.File], None]) -> None:
    """Apply `edit` to the file at `path` (or to a new one) in memory, then put the result in its place.

    Raises:
        DataError: it cannot be written, or holds something else.
    """
    write_image(path, edited(path, edit))


def write_image(path: Path, image: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, image)
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise DataError(f"{path} cannot be written ({reason}); free space or give another file.") from error


def edited(path: Path, edit: Callable[[h5py.File], None]) -> bytes:
    """The HDF5 image that `edit` makes of the file at `path`, or of an empty one.

    Raises:
        DataError: there is a file that cannot be read, one of another kind, or a damaged one.
    """
    old = read_old(path)
    buffer = io.BytesIO(old)
    try:
        with h5py.File(buffer, "r+" if old else "w") as file:
            edit(file)
    except (OSError, RuntimeError, KeyError) as error:
        if not old:
            raise
        raise DataError(
            f"{path} cannot be written (it is no HDF5 file, or a damaged one: {one_line(error)}); give another file."
        ) from error
    return buffer.getvalue()


def read_old(path: Path) -> bytes:
    """What is at `path`; nothing where there is no file."""
    try:
        return path.read_bytes() if path.exists() else b""
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise DataError(f"{path} cannot be written ({reason}); free space or give another file.") from error
