"""Valid HDF5 files that hold what no reader expects."""

import io
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from numpy.random import Generator

from tests.fuzz.values import another

Edit = Callable[[h5py.File, str, Generator], None]


def items_of(file: h5py.File) -> list[str]:
    """Paths of all that lies in a file."""
    names: list[str] = []
    file.visit(names.append)
    return names


def put(file: h5py.File, name: str, **settings: Any) -> None:
    """A data set in place of what there was; its attributes stay."""
    attributes = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, **settings).attrs.update(attributes)


def other_values(file: h5py.File, name: str, rng: Generator) -> None:
    """Numbers of another type, shape or size."""
    item = file[name]
    if isinstance(item, h5py.Dataset) and item.dtype.kind in "biufcS":
        new = another(item[()], rng)
        put(file, name, data=new if new.dtype.kind != "M" else new.astype("i8"))


def texts(file: h5py.File, name: str, rng: Generator) -> None:
    """Words in place of numbers, or other words."""
    item = file[name]
    if isinstance(item, h5py.Dataset) and (item.size or 0) < 10_000:
        words = np.array(["train", "val", "", "é" * 10, "\ud800".encode("utf-8", "surrogatepass"), b"\xff", "x" * 5000], object)
        put(file, name, data=rng.choice(words, item.shape or ()), dtype=h5py.string_dtype())


def strange_type(file: h5py.File, name: str, rng: Generator) -> None:
    """Compound, reference, opaque, enumeration, list and array types."""
    shape = file[name].shape if isinstance(file[name], h5py.Dataset) else ()
    types = [
        np.dtype([("a", "f8"), ("b", "i4")]), h5py.ref_dtype, h5py.regionref_dtype, np.dtype("V7"),
        h5py.enum_dtype({"A": 0, "B": 1}), h5py.vlen_dtype(np.float64), np.dtype(("f8", (3,))), np.dtype("S0") or None,
        h5py.string_dtype("utf-8", 7),
    ]  # fmt: skip
    put(file, name, shape=shape, dtype=types[rng.integers(len(types))])


def enormous(file: h5py.File, name: str, rng: Generator) -> None:
    """A shape of up to 10^18 entries of which none was written."""
    rows = int(10.0 ** rng.uniform(7, 18))
    shape = [(rows,), (rows, 2), (2, rows), (10, rows // 10, 2)][rng.integers(4)]
    chunks = tuple(min(n, 4096) for n in shape)
    put(file, name, shape=shape, dtype=rng.choice(["f8", "i8", "u1", "S100000"]), chunks=chunks)


def huge_chunks(file: h5py.File, name: str, rng: Generator) -> None:
    """Few entries in pieces of gigabytes."""
    chunk = int(10.0 ** rng.uniform(7, 9.5))
    put(file, name, shape=(10,), maxshape=(None,), dtype="u1", chunks=(min(chunk, (1 << 32) - 1),), compression="gzip")


def bomb(file: h5py.File, name: str, rng: Generator) -> None:
    """Megabytes of one value in kilobytes."""
    put(
        file,
        name,
        data=np.full(int(rng.choice([1 << 20, 1 << 23])), rng.integers(2), "i8"),
        compression="gzip",
        compression_opts=1,
    )


def nothing(file: h5py.File, name: str, rng: Generator) -> None:
    """A data set without a space."""
    put(file, name, data=h5py.Empty("f8"))


def link(file: h5py.File, name: str, rng: Generator) -> None:
    """A link to nothing, to itself, to its parent, to another item, or to another file."""
    others = items_of(file)
    other = others[rng.integers(len(others))]
    del file[name]
    links = [
        h5py.SoftLink("/nowhere"), h5py.SoftLink(f"/{name}"), h5py.SoftLink(f"/{other}"), h5py.SoftLink("."), h5py.SoftLink(""),
        h5py.ExternalLink("/dev/zero", "/x"), h5py.ExternalLink("absent.h5", "/x"), h5py.ExternalLink("/etc/passwd", "/"),
    ]  # fmt: skip
    choice = rng.integers(len(links) + 1)
    file[name] = links[choice] if choice < len(links) else file["/"]  # the last: a hard link that closes a circle


def elsewhere(file: h5py.File, name: str, rng: Generator) -> None:
    """Numbers that lie in another file."""
    shape = file[name].shape if isinstance(file[name], h5py.Dataset) else (10,)
    del file[name]
    if rng.random() < 0.5:
        file.create_dataset(name, shape or (1,), "u1", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
    else:
        layout = h5py.VirtualLayout(shape or (1,), "f8")
        layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape or (1,))
        file.create_virtual_dataset(name, layout)


def gone(file: h5py.File, name: str, rng: Generator) -> None:
    """One item less."""
    del file[name]


def other_kind(file: h5py.File, name: str, rng: Generator) -> None:
    """A group in place of a data set, a data set in place of a group, or a type in place of either."""
    was_data = isinstance(file[name], h5py.Dataset)
    del file[name]
    if rng.random() < 0.3:
        file[name] = np.dtype("f8")
    elif was_data:
        file.create_group(name)
    else:
        file[name] = np.arange(3.0)


def exchange(file: h5py.File, name: str, rng: Generator) -> None:
    """Another item in its place."""
    others = [other for other in items_of(file) if not other.startswith(name) and not name.startswith(other)]
    if others:
        other = file[others[rng.integers(len(others))]]
        del file[name]
        file[name] = other


def attributes(file: h5py.File, name: str, rng: Generator) -> None:
    """An attribute left out, or of another kind."""
    item = file[name] if rng.random() < 0.8 else file
    names = list(item.attrs)
    values = [
        np.nan,
        -1.0,
        0.0,
        np.inf,
        "text",
        b"\xff\xfe",
        np.arange(5),
        h5py.Empty("f8"),
        np.zeros((3, 0)),
        10**18,
        item.ref,
    ]
    if names:
        key = names[rng.integers(len(names))]
        del item.attrs[key]
        if rng.random() < 0.7:
            item.attrs[key] = values[rng.integers(len(values))]


EDITS: tuple[Edit, ...] = (
    other_values, other_values, other_values, other_values, texts, strange_type, enormous, huge_chunks, bomb, nothing, link,
    elsewhere, gone, other_kind, exchange, attributes,
)  # fmt: skip


def edited(content: bytes, rng: Generator) -> bytes:
    """One to three edits of a valid file; another one where an edit cannot be made there."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        for _ in range(rng.integers(1, 4)):
            names = items_of(file)
            if names:
                edit_somewhere(file, names, rng)
    return buffer.getvalue()


def edit_somewhere(file: h5py.File, names: list[str], rng: Generator) -> None:
    """One edit of one item, data sets three times as often as groups."""
    weights = np.array([3.0 if isinstance(file.get(name), h5py.Dataset) else 1.0 for name in names])
    name = names[rng.choice(len(names), p=weights / weights.sum())]
    if name in file:
        EDITS[rng.integers(len(EDITS))](file, name, rng)


MUTATIONS = (edited,)
