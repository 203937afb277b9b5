"""Freed memory that the process keeps for its next training step."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
LARGEST_MMAP_THRESHOLD = 1 << 25  # glibc refuses more


def keep_freed_memory() -> None:
    """Have glibc keep blocks that are freed, up to 1 GiB at the heap's end; elsewhere nothing happens.

    A training step on a CPU frees tens of megabytes that the next one asks for again. Given back to the system in between, each
    page has to be mapped and cleared anew, which takes as long as some of the arithmetic.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, 1 << 30)
        mallopt(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
