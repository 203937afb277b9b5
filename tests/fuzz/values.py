"""Arrays in place of an array: other types, shapes and values, right and wrong ones."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

DTYPES = ["f2", "f4", "f8", ">f8", "i1", "u1", "i4", "u8", "i8", ">i2", "c8", "?", "S3", "M8[s]"]
SPECIAL = [np.nan, np.inf, -np.inf, -1.0, 0.0, 0.5, 1e9, -1e9, 1e15, 1e18, 1e30, 1e308, 2.0**63, 1e-300]


def another_type(array: np.ndarray, rng: Generator) -> np.ndarray:
    """The same numbers in another type."""
    with np.errstate(all="ignore"):
        return array.astype(rng.choice(DTYPES)) if array.dtype.kind in "biuf" else np.zeros(array.shape, rng.choice(DTYPES))


def another_shape(array: np.ndarray, rng: Generator) -> np.ndarray:
    """More or fewer axes, or entries."""
    shapes: list[Callable[[], np.ndarray]] = [
        lambda: array[..., None],
        lambda: array[None],
        lambda: array.ravel(),
        lambda: array.ravel()[:1].reshape(()) if array.size else np.zeros(()),
        lambda: array[:0] if array.ndim else np.zeros(0),
        lambda: array[:1] if array.ndim else array,
        lambda: array[:-1] if array.ndim else array,
        lambda: np.concatenate([array, array]) if array.ndim else array,
        lambda: array.T,
        lambda: np.zeros((0, *array.shape), array.dtype),
        lambda: np.repeat(array, 3, axis=-1) if array.ndim else array,
    ]
    return shapes[rng.integers(len(shapes))]()


def special_entries(array: np.ndarray, rng: Generator) -> np.ndarray:
    """A few entries, or all, replaced by a special value."""
    new = array.astype(np.float64) if array.dtype.kind in "f" else array.copy()
    if new.dtype.kind not in "iuf" or not new.size:
        return new
    value = SPECIAL[rng.integers(len(SPECIAL))]
    at = slice(None) if rng.random() < 0.3 else rng.integers(new.size, size=rng.integers(1, 4))
    if new.dtype.kind in "iu":
        info = np.iinfo(new.dtype)
        value = rng.choice([info.min, info.max, 0, 1, info.max // 2]).astype(new.dtype)
    new.reshape(-1)[at] = value
    return new


def another_order(array: np.ndarray, rng: Generator) -> np.ndarray:
    """Reversed, shuffled or constant."""
    if not array.ndim or not len(array):
        return array
    return (array[::-1], rng.permutation(array), np.repeat(array[:1], len(array), axis=0))[rng.integers(3)]


def scaled(array: np.ndarray, rng: Generator) -> np.ndarray:
    """Times something, or plus something, as other units would be."""
    if array.dtype.kind != "f":
        return array
    factor, shift = rng.choice([1e-9, 1e-3, -1.0, 1.0, 60.0, 1e3, 1e5, 1e9]), rng.choice([0.0, 0.0, -1e3, 1e5, 1e9])
    return array * factor + shift


CHANGES = (another_type, another_shape, special_entries, another_order, scaled)


def another(array: np.ndarray, rng: Generator) -> np.ndarray:
    """A change of an array."""
    return CHANGES[rng.integers(len(CHANGES))](np.asarray(array), rng)
