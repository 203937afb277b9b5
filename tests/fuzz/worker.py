"""Reads mutated files in a process of its own, which may crash, hang or run out of memory without harm."""

import contextlib
import os
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from numpy.random import Generator

from neuralsde.errors import NeuralSDEError
from tests.fuzz import raw
from tests.fuzz.target import Target

PACKAGE = str(Path(__file__).parents[2] / "neuralsde")
ADDRESS_BYTES = 3 << 30
"""Address space that a reader may add to that of the process."""
MOST_MB = 1000
"""Memory that a reader may take, measured at its peak."""


class Outcome(NamedTuple):
    """What became of a file.

    Args:
        kind: `read`, `refused` or `failed`.
        what: the error and where it was raised; two files of the same are alike.
        seconds: that it took.
        peak_mb: memory at the peak, beyond that before.
    """

    kind: str
    what: str
    seconds: float
    peak_mb: float


def mutated(target: Target, seeds: Sequence[bytes], rng: Generator) -> bytes:
    """One file: a seed, changed by one that knows what it is made of, or by bytes, or by both."""
    content = seeds[rng.integers(len(seeds))]
    if target.mutations and rng.random() < 0.65:
        with contextlib.suppress(Exception):  # an edit that cannot be made of this seed: bytes are changed instead
            return raw.chosen(target.mutations, rng)(content, rng)
    return raw.chosen(raw.MUTATIONS, rng)(content, rng)


def outcome_of(target: Target, path: Path) -> Outcome:
    """Read one file."""
    start, before = time.monotonic(), reset_peak()
    kind, what = "read", ""
    try:
        target.read(path)
    except NeuralSDEError as error:
        kind, what = "refused", place_of(error)
    except BaseException as error:
        kind, what = (
            "failed",
            f"{type(error).__name__} at {place_of(error)}: {str(error).splitlines()[0][:120] if str(error) else ''}",
        )
    peak = peak_mb() - before
    if peak > MOST_MB and kind != "failed":
        kind, what = "failed", f"took more than {MOST_MB} MB ({what})"
    return Outcome(kind, what, time.monotonic() - start, peak)


def place_of(error: BaseException) -> str:
    """The last line of the package that an error passed."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(PACKAGE)]
    return f"{frames[-1].filename.removeprefix(PACKAGE + '/')}:{frames[-1].lineno}" if frames else "no line of the package"


def status_mb(key: str) -> float:
    """A line of /proc/self/status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def reset_peak() -> float:
    """Begin to measure the peak anew; memory now, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return status_mb("VmRSS")


def peak_mb() -> float:
    return status_mb("VmHWM")


def confine(folder: Path) -> None:
    """Silence, a folder to work in, a limit of memory, no dumps."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    devnull = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(devnull, stream)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = int(status_mb("VmSize") * (1 << 20)) + ADDRESS_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def work(target: Target, seeds: Sequence[bytes], seed: int, numbers: Sequence[int], folder: Path, parent: Connection) -> None:
    """Make and read the files of these numbers, telling the parent before and after each."""
    confine(folder)
    path = folder / f"file{target.suffix}"
    for number in numbers:
        path.write_bytes(mutated(target, seeds, raw.generator(seed, number)))
        parent.send(number)
        parent.send(outcome_of(target, path))
    parent.close()
