"""Arrays by name from an .npz or HDF5 file, so that whatever is wrong with it comes out as one sentence."""

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from neuralsde.datamodules.nwb.hdf5 import choices, one_line
from neuralsde.errors import ConfigError, DataError

UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


class ArrayFile(ABC):
    """An open file of named arrays; use it in a `with` statement. Python objects in it are never unpickled.

    Args:
        path: the file, for errors.
        names: of its arrays.
    """

    def __init__(self, path: Path, names: list[str]):
        self.path, self.names = path, names

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _array(self, name: str) -> np.ndarray:
        """The whole array `name`, which is there."""

    def read(self, name: str, setting: str) -> np.ndarray:
        """The array `name`.

        Args:
            name: of the array.
            setting: that names it, for the error's sentence.

        Raises:
            DataError: it is not there, is damaged, or holds Python objects.
        """
        if name not in self:
            raise DataError(f"{self.path}: holds no array `{name}` (data.{setting}); {choices(name, self.names)}.")
        try:
            array = self._array(name)
        except UNREADABLE as error:
            raise DataError(
                f"{self.path}: array `{name}` cannot be read ({one_line(error)}); it is damaged, or holds Python objects, "
                "which are never unpickled: save plain numbers."
            ) from error
        if array.dtype.kind == "O":
            raise DataError(f"{self.path}: array `{name}` holds objects of varying kind; save plain numbers.")
        return array

    def numbers(self, name: str, setting: str) -> np.ndarray:
        """The array `name`, of whole or real numbers.

        Raises:
            DataError: as `read`; or it holds something else.
        """
        array = self.read(name, setting)
        if array.dtype.kind not in "buif":
            raise DataError(f"{self.path}: array `{name}` (data.{setting}) holds {array.dtype}; numbers are needed.")
        return array


class NpzFile(ArrayFile):
    """An archive of arrays as `numpy.savez` writes it.

    Raises:
        DataError: it is no such archive, or cut short.
    """

    def __init__(self, path: Path):
        try:
            if not zipfile.is_zipfile(path):
                with path.open("rb") as file:
                    is_cut = file.read(2) == b"PK"
                what = "the archive is cut short; fetch or save it again" if is_cut else "this is no .npz archive; save one"
                raise DataError(f"{path}: {what}, as numpy.savez(path, spikes=…) does.")
            self.file = np.load(path, allow_pickle=False)
        except UNREADABLE as error:
            raise DataError(f"{path}: the archive cannot be opened ({one_line(error)}); fetch or save it again.") from error
        super().__init__(path, list(self.file.files))

    def close(self) -> None:
        self.file.close()

    def _array(self, name: str) -> np.ndarray:
        return np.asarray(self.file[name])


class HDF5File(ArrayFile):
    """An HDF5 file; a data set inside groups is named by its path, such as `session/spikes`.

    Raises:
        DataError: it is no such file, or cut short.
    """

    def __init__(self, path: Path):
        try:
            self.file = h5py.File(path, "r")
        except OSError as error:
            raise DataError(
                f"{path}: cannot be opened as HDF5 ({one_line(error)}); it is cut short, or another kind of file."
            ) from error
        names: list[str] = []
        self.file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        super().__init__(path, names)

    def close(self) -> None:
        self.file.close()

    def _array(self, name: str) -> np.ndarray:
        dataset = self.file[name]
        assert isinstance(dataset, h5py.Dataset)
        is_text = h5py.check_string_dtype(dataset.dtype) is not None
        return np.asarray(dataset.asstr()[()], np.str_) if is_text else np.asarray(dataset[()])


READERS: dict[str, Callable[[Path], ArrayFile]] = {".npz": NpzFile, ".h5": HDF5File, ".hdf5": HDF5File}
"""By the ending of the file's name."""


def open_arrays(path: Path) -> ArrayFile:
    """Open a file of arrays.

    Raises:
        ConfigError: its name ends otherwise than `READERS` do.
        DataError: it does not exist, or is damaged or of another kind.
    """
    if path.suffix.lower() not in READERS:
        raise ConfigError(f"data.path is {path}; give a file whose name ends in {', '.join(READERS)}.")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; give data.path=FILE.npz or FILE.h5 (see data/arrays/README.md).")
    return READERS[path.suffix.lower()](path)
