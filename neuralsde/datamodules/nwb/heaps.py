"""Damage to HDF5's heaps of texts on which libhdf5 (2.0) never returns; seen before the library is let near them."""

from collections.abc import Iterator
from pathlib import Path

from neuralsde.errors import DataError

SIGNATURE = b"GCOL\x01\0\0\0"
HEADER = 16
"""Bytes of a heap's header, and of that of each object in it."""
MOST_BYTES = 1 << 28
"""Larger files are not searched: reading all of a recording would take longer than reading what is asked of it."""
BLOCK_BYTES = 1 << 22


def refuse_endless_heaps(path: Path) -> None:
    """Walk through every heap as the library would.

    Raises:
        DataError: an object of a heap has no length, or reaches beyond the heap, so that the walk would not end.
    """
    if path.stat().st_size > MOST_BYTES:
        return
    with path.open("rb") as file:
        for at in places_of_heaps(path):
            file.seek(at)
            header = file.read(HEADER)
            size = int.from_bytes(header[8:], "little")
            if not ends(file.read(min(max(size - HEADER, 0), MOST_BYTES))):
                raise DataError(f"{path}: the heap of texts at byte {at} is damaged; fetch the file again.")


def places_of_heaps(path: Path) -> Iterator[int]:
    """Where heaps begin in a file."""
    with path.open("rb") as file:
        before, start = b"", 0
        while block := file.read(BLOCK_BYTES):
            window = before + block
            at = window.find(SIGNATURE)
            while at >= 0:
                yield start - len(before) + at
                at = window.find(SIGNATURE, at + 1)
            start += len(block)
            before = window[-len(SIGNATURE) + 1 :]


def ends(heap: bytes) -> bool:
    """Whether the objects of a heap follow each other to its end."""
    at = 0
    while at + HEADER <= len(heap):
        number = int.from_bytes(heap[at : at + 2], "little")
        size = int.from_bytes(heap[at + 8 : at + HEADER], "little")
        step = HEADER + -(-size // 8) * 8 if number else size  # number 0: the rest of the heap, its header counted in
        if step < HEADER or at + step > len(heap):
            return False
        at += step
    return True
