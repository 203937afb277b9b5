"""Zip archives (.npz, checkpoints) whose members or directory lie."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from tests.fuzz.raw import MUTATIONS as RAW
from tests.fuzz.raw import chosen
from tests.fuzz.values import another

Members = dict[str, bytes]


def unpacked(content: bytes) -> Members:
    """What is in an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Members, packing: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def repacked(content: bytes, rng: Generator) -> bytes:
    """The members packed otherwise."""
    return packed(unpacked(content), int(rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])))


def member_bytes(content: bytes, rng: Generator) -> bytes:
    """The bytes of one member changed; checksums hold."""
    members = unpacked(content)
    name = list(members)[rng.integers(len(members))]
    members[name] = chosen(RAW, rng)(members[name] or b"\0", rng)
    return packed(members)


def other_names(content: bytes, rng: Generator) -> bytes:
    """Members renamed, left out, exchanged, or one more of them."""
    members = unpacked(content)
    a, b = (list(members)[i] for i in rng.integers(len(members), size=2))
    renamed: list[Callable[[], object]] = [
        lambda: members.pop(a),
        lambda: members.update({a: members[b], b: members[a]}),
        lambda: members.update({f"../../{a}": members.pop(a)}),
        lambda: members.update({f"/etc/{a}": members[a]}),
        lambda: members.update({"x" * 60_000: b"x"}),
        lambda: members.update({a: b""}),
        lambda: members.update({a: b"\0" * 30_000_000}),
        lambda: members.update({f"{a}/": b""}),
    ]
    renamed[rng.integers(len(renamed))]()
    return packed(members, zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED)


def lying_directory(content: bytes, rng: Generator) -> bytes:
    """Sizes, places and methods of the central directory replaced."""
    new, at = bytearray(content), content.rfind(b"PK\x01\x02")
    field, size = [(8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4)][rng.integers(8)]
    value = int(rng.choice([0, 1, 8, 12, 14, 99, 2**16 - 1, 2**31 - 1, 2**32 - 2, 2**32 - 1, 10**9])) % (1 << (8 * size))
    if at >= 0:
        new[at + field : at + field + size] = value.to_bytes(size, "little")
    return bytes(new)


ARCHIVE_MUTATIONS = (repacked, member_bytes, member_bytes, other_names, lying_directory)


def header(description: str) -> bytes:
    """The front of an array's file with any header."""
    text = description.encode("latin-1", "replace")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(text), 65535)) + text


def other_header(content: bytes, rng: Generator) -> bytes:
    """A header that says what is not so."""
    shape = (
        "(1000000000000,)",
        "(-1,)",
        "(2, 3",
        "(1e3,)",
        f"({'(' * 90}",
        "(9" + "9" * 30 + ",)",
        "(0, 1000000000000)",
        "()",
        "5",
    )
    descr = (
        "'<f8'",
        "'|O'",
        "'<U1000000000'",
        "[('a', '<f8')]",
        "'|V9'",
        "'M8[s]'",
        "__import__('os')",
        "''",
        "None",
        "'<f80'",
    )
    order = rng.choice(["False", "True", "3"])
    text = f"{{'descr': {rng.choice(descr)}, 'fortran_order': {order}, 'shape': {rng.choice(shape)}, }}\n"
    members = unpacked(content)
    name = list(members)[rng.integers(len(members))]
    members[name] = header(text) + members[name][128:]
    return packed(members)


def other_array(content: bytes, rng: Generator) -> bytes:
    """One to three arrays of other types, shapes and values."""
    members = unpacked(content)
    for _ in range(rng.integers(1, 4)):
        name = list(members)[rng.integers(len(members))]
        array = np.load(io.BytesIO(members[name]))
        buffer = io.BytesIO()
        np.save(buffer, another(array, rng))
        members[name] = buffer.getvalue()
    return packed(members, zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED)


def pickled(content: bytes, rng: Generator) -> bytes:
    """An array of objects, or a bare pickle, in place of one."""
    members = unpacked(content)
    name = list(members)[rng.integers(len(members))]
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}, None, [1, 2]], object), allow_pickle=True)
    members[name] = buffer.getvalue() if rng.random() < 0.5 else pickle.dumps([1, 2])
    return packed(members)


NPZ_MUTATIONS = (other_array, other_array, other_array, other_header, pickled, *ARCHIVE_MUTATIONS)
