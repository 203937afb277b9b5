"""Parsed records kept in HDF5, with the version of the parser and the checksum of what they were read from."""

import hashlib
import io
from pathlib import Path

import h5py
import numpy as np

from neuralsde.datamodules.irregular.physionet.parse import Stays, parse_texts
from neuralsde.datamodules.irregular.physionet.sources import Source, digest_of, read_texts
from neuralsde.datamodules.nwb.cache import Cache, put

VERSION = 1
"""Raise it when the same text gives other rows."""


def load_records(source: Source, where: bool | str = True) -> Stays:
    """Records of a source: the cached ones, or those that its texts give. A damaged entry is made again.

    Args:
        source: the set.
        where: True for the folder `.cache` beside the source (or the user's cache folder), False for none, else a folder.

    Raises:
        DataError: the source is damaged, or the cache cannot be written.
    """
    if where is False:
        return parse_texts(source, read_texts(source))
    cache = Cache(where, source.path.parent)
    digest = digest_of(source)
    name = f"physionet2012-{source.set_name}-{hashlib.sha256(f'{VERSION} {digest}'.encode()).hexdigest()[:16]}.h5"
    for folder in cache.folders():
        if (stays := read_entry(folder / name, digest)) is not None:
            return stays
    stays = parse_texts(source, read_texts(source))
    cache.store(name, to_bytes(stays, digest))
    return stays


def to_bytes(stays: Stays, digest: str) -> bytes:
    """An HDF5 image of records."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["version"], file.attrs["source_sha256"] = VERSION, digest
        for name, array in stays._asdict().items():
            put(file, name, array.astype("S16") if name == "names" else array)
    return buffer.getvalue()


def read_entry(path: Path, digest: str) -> Stays | None:
    """The records of an entry; None where there is none, a damaged one, or one of another source or version."""
    try:
        with h5py.File(path, "r") as file:
            if file.attrs["version"] != VERSION or file.attrs["source_sha256"] != digest:
                return None
            arrays = {name: np.asarray(file[name]) for name in Stays._fields}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError):
        return None
    if arrays["length"].sum() != len(arrays["times"]) or len(arrays["times"]) != len(arrays["values"]):
        return None
    return Stays(**arrays | {"names": arrays["names"].astype(np.str_)})
