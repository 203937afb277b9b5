"""Mutations of bytes, whatever they mean."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

EXTREMES = [
    bytes(pattern)
    for size in (1, 2, 4, 8)
    for pattern in (b"\0" * size, b"\xff" * size, b"\xff" * (size - 1) + b"\x7f", b"\0" * (size - 1) + b"\x80", b"\1" * size)
]
"""Whole numbers, little-endian, that are taken for sizes: 0, −1, the largest and the smallest."""


def flip(content: bytes, rng: Generator) -> bytes:
    """Up to 16 bits flipped."""
    new = bytearray(content)
    for at in rng.integers(len(new), size=rng.integers(1, 17)):
        new[at] ^= 1 << rng.integers(8)
    return bytes(new)


def extreme(content: bytes, rng: Generator) -> bytes:
    """Up to four numbers replaced by extreme ones."""
    new = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        value = EXTREMES[rng.integers(len(EXTREMES))]
        at = rng.integers(max(len(new) - len(value), 1))
        new[at : at + len(value)] = value
    return bytes(new)


def truncate(content: bytes, rng: Generator) -> bytes:
    """The front of it."""
    return content[: rng.integers(len(content))]


def splice(content: bytes, rng: Generator) -> bytes:
    """A stretch copied over another place."""
    length = int(rng.integers(1, max(len(content) // 8, 2)))
    source, at = rng.integers(max(len(content) - length, 1), size=2)
    return content[:at] + content[source : source + length] + content[at + length :]


def duplicate(content: bytes, rng: Generator) -> bytes:
    """A stretch put in once more."""
    length = int(rng.integers(1, max(len(content) // 8, 2)))
    source, at = rng.integers(max(len(content) - length, 1), size=2)
    return content[:at] + content[source : source + length] + content[at:]


def delete(content: bytes, rng: Generator) -> bytes:
    """A stretch left out."""
    length = int(rng.integers(1, max(len(content) // 8, 2)))
    at = rng.integers(max(len(content) - length, 1))
    return content[:at] + content[at + length :]


def blank(content: bytes, rng: Generator) -> bytes:
    """A stretch of zeros, of 255, or of noise."""
    length = int(rng.integers(1, max(len(content) // 8, 2)))
    at = rng.integers(max(len(content) - length, 1))
    filled = (b"\0" * length, b"\xff" * length, rng.bytes(length))[rng.integers(3)]
    return content[:at] + filled + content[at + length :]


def compound(content: bytes, rng: Generator) -> bytes:
    """Several of the others, one after the other."""
    for _ in range(rng.integers(2, 5)):
        content = chosen(SINGLE, rng)(content, rng) or b"\0"
    return content


def chosen(mutations: Sequence[Callable], rng: Generator) -> Callable:
    """One of them."""
    return mutations[int(rng.integers(len(mutations)))]


SINGLE = (flip, extreme, truncate, splice, duplicate, delete, blank)
MUTATIONS = (*SINGLE, compound)


def generator(seed: int, *path: int) -> Generator:
    """The generator of one file: a function of the seed and of which file it is."""
    return np.random.default_rng((seed, *path))
