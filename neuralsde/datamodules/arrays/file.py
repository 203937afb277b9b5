"""Arrays by name from an .npz or HDF5 file, so that whatever is wrong with it comes out as one sentence."""

import math
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError

import h5py
import numpy as np

from neuralsde.datamodules.memory import refuse_enormous
from neuralsde.datamodules.nwb import hdf5
from neuralsde.datamodules.nwb.hdf5 import choices, one_line
from neuralsde.errors import ConfigError, DataError

UNREADABLE = (*hdf5.UNREADABLE, EOFError, SyntaxError, TokenError, zipfile.BadZipFile, zlib.error)
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""By the version of an array's file; what is plain numbers or words is never written in a later one."""


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
            self.members = {member.filename: member for member in self.file.zip.infolist()}
        except UNREADABLE as error:
            raise DataError(f"{path}: the archive cannot be opened ({one_line(error)}); fetch or save it again.") from error
        super().__init__(path, list(self.file.files))

    def close(self) -> None:
        self.file.close()

    def _array(self, name: str) -> np.ndarray:
        self._refuse_enormous(self.members.get(f"{name}.npy") or self.members[name])
        return np.asarray(self.file[name])

    def _refuse_enormous(self, member: zipfile.ZipInfo) -> None:
        """Hold what an array's header declares against its bytes, and those against the file, before any are unpacked.

        Raises:
            DataError: the file cannot hold so much.
            ValueError: the array has another size than its member of the archive, or is packed otherwise than NumPy packs.
        """
        refuse_enormous(member.file_size, self.path, f"`{member.filename}`")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("packed otherwise than numpy.savez packs")
        with self.file.zip.open(member) as content:
            shape, _, dtype = HEADERS[np.lib.format.read_magic(content)](content)
            declared = math.prod(shape) * dtype.itemsize
            if min(shape, default=0) < 0 or declared != member.file_size - content.tell():
                raise ValueError(f"its header declares {declared} bytes, but there are {member.file_size - content.tell()}")


class HDF5File(ArrayFile):
    """An HDF5 file; a data set inside groups is named by its path, such as `session/spikes`.

    Raises:
        DataError: it is no such file, or cut short.
    """

    def __init__(self, path: Path):
        self.file = hdf5.open_hdf5(path, "HDF5 file", "it is cut short, or another kind of file")
        names: list[str] = []
        hdf5.visit(self.file, lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        super().__init__(path, names)

    def close(self) -> None:
        self.file.close()

    def numbers(self, name: str, setting: str) -> np.ndarray:
        dataset = hdf5.dataset_in(self.file, name) if name in self else None
        if dataset is not None and dataset.dtype.kind == "O":  # not read first: each may be as long as the file
            raise DataError(f"{self.path}: array `{name}` (data.{setting}) holds words or lists; numbers are needed.")
        return super().numbers(name, setting)

    def _array(self, name: str) -> np.ndarray:
        dataset = hdf5.dataset_in(self.file, name)
        assert dataset is not None  # `names` are of data sets
        values = hdf5.read(dataset)
        if h5py.check_string_dtype(dataset.dtype) is None:
            return values
        words = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values.ravel()]
        refuse_enormous(4 * len(words) * max(map(len, words), default=0), self.path, f"`{name}`")
        return np.array(words, np.str_).reshape(values.shape)


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
