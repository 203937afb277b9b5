"""A limit on what a data file may ask for: its size, times what compression can gain, and the machine's memory."""

import os
import resource
from pathlib import Path

from neuralsde.errors import DataError

GAIN = 1100
"""Bytes that a byte of a file can stand for: deflate gains 1032 at most."""
FLOOR_BYTES = 1 << 26
"""What any file may ask for."""


def refuse_enormous(wanted: int, path: str | Path, what: str) -> None:
    """Check the size of an array before it is made; a kilobyte may declare 10^12 numbers.

    Args:
        wanted: bytes in memory.
        path: the file that asks for them.
        what: would take them, the subject of the sentence.

    Raises:
        DataError: the file cannot hold so much, or the machine has not as much memory.
    """
    size = os.path.getsize(path)
    if wanted > GAIN * size + FLOOR_BYTES:
        raise DataError(
            f"{path}: {what} would take {readable(wanted)}, which a file of {readable(size)} cannot hold; it is damaged: fetch "
            "or write it again."
        )
    if wanted > (most := machine_bytes()):
        raise DataError(
            f"{path}: {what} would take {readable(wanted)}, but there are {readable(most)} of memory; give less data."
        )


def machine_bytes() -> int:
    """Memory that this process may use, in bytes."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return there if limit == resource.RLIM_INFINITY else min(there, limit)


def readable(size: int) -> str:
    """A number of bytes in the unit that one would say it in."""
    power = min(max(len(str(size)) - 1, 0) // 3, 6)
    return f"{size / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB')[power]}"
