"""One classified series as a file has it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from neuralsde.errors import DataError

UNKNOWN = ("?", "nan", "NaN", "")


class Case(NamedTuple):
    """One series of a file.

    Args:
        values: (row, channel), float64, NaN where unknown; without the rows that only pad it.
        label: its class, as written.
        times: of the rows, (row,); None where the file has none.
    """

    values: np.ndarray
    label: str
    times: np.ndarray | None = None


def numbers(words: list[str], path: Path, line: int) -> np.ndarray:
    """Numbers of a line, NaN for `?`.

    Raises:
        DataError: a word is no number, or infinite.
    """
    stripped = [w.strip() for w in words]
    try:
        found = np.array([np.nan if w in UNKNOWN else float(w) for w in stripped])
    except ValueError:
        word, place = next((w, k) for k, w in enumerate(stripped) if not is_float(w))
        raise DataError(
            f"{path}, line {line}: value {place + 1} is `{word[:40]}`; numbers are needed, ? where unknown."
        ) from None
    if np.isinf(found).any():
        raise DataError(
            f"{path}, line {line}: value {int(np.argmax(np.isinf(found))) + 1} is infinite; finite ones are needed."
        )
    return found


def is_float(word: str) -> bool:
    """Whether a word is a number, or stands for one that is not known."""
    try:
        float(word)
    except ValueError:
        return word in UNKNOWN
    return True


def case_of(channels: list[np.ndarray], label: str, path: Path, line: int, times: np.ndarray | None = None) -> Case:
    """A case from its channels, without the unknown rows at its end.

    Raises:
        DataError: channels are of unequal length, nothing is known, or there is no label.
    """
    lengths = {len(c) for c in channels}
    if len(lengths) != 1:
        raise DataError(f"{path}, line {line}: channels have {sorted(lengths)} values; one series has one length.")
    values = np.stack(channels, -1)
    known = np.flatnonzero(~np.isnan(values).all(-1))
    if not len(known):
        raise DataError(f"{path}, line {line}: not one value of the series is known; leave such a series out.")
    if not label.strip():
        raise DataError(f"{path}, line {line}: the series has no class label; each needs one.")
    n = known[-1] + 1
    return Case(values[:n], label.strip().strip("'\""), None if times is None else times[:n])
