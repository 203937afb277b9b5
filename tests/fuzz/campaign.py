"""A number of mutated files for one target, and what became of them."""

import multiprocessing
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.target import Target
from tests.fuzz.worker import Outcome, work

LIMIT_S = 30
"""Time that a file may take."""
KEPT = 3
"""Files of the same failure that are kept."""


@dataclass
class Tally:
    """What became of a target's files.

    Args:
        kinds: files by kind of outcome.
        refused: files by the place that refused them.
        failed: files by failure.
        slowest_s: time of the slowest file.
        peak_mb: memory of the largest.
    """

    kinds: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    failed: Counter = field(default_factory=Counter)
    slowest_s: float = 0.0
    peak_mb: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one file."""
        self.kinds[outcome.kind] += 1
        {"refused": self.refused, "failed": self.failed}.get(outcome.kind, Counter())[outcome.what] += 1
        self.slowest_s, self.peak_mb = max(self.slowest_s, outcome.seconds), max(self.peak_mb, outcome.peak_mb)

    @property
    def files(self) -> int:
        return sum(self.kinds.values())


def run(target: Target, numbers: Sequence[int], seed: int, folder: Path, failures: Path) -> Tally:
    """Read mutated files, in a process that is started anew where it ends early.

    Args:
        target: the reader.
        numbers: of the files; each file is a function of the seed and its number.
        seed: of the mutations.
        folder: to work in.
        failures: where files that fail are kept.
    """
    (folder / "seeds").mkdir(parents=True, exist_ok=True)
    seeds = [path.read_bytes() for path in target.seeds(folder / "seeds")]
    tally, left = Tally(), list(numbers)
    while left:
        left = left[batch(target, seeds, seed, left, folder, failures, tally) :]
    return tally


def batch(
    target: Target, seeds: Sequence[bytes], seed: int, numbers: Sequence[int], folder: Path, failures: Path, tally: Tally
) -> int:
    """Read files until the process ends; how many were read."""
    context = multiprocessing.get_context("fork")  # what has been imported need not be imported again
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(target, seeds, seed, numbers, folder / "work", sender))
    process.start()
    sender.close()
    done = 0
    while done < len(numbers):
        outcome = next_outcome(receiver)
        if outcome is None:
            process.join(1)
            code = process.exitcode
            outcome = Outcome("failed", f"hung for {LIMIT_S} s" if code is None else f"process ended with {code}", LIMIT_S, 0.0)
        tally.add(outcome)
        done += 1
        if outcome.kind == "failed":
            keep(target, folder / "work" / f"file{target.suffix}", numbers[done - 1], outcome.what, failures, tally)
        if outcome.seconds == LIMIT_S or (not process.is_alive() and not receiver.poll()):
            break
    process.kill()
    process.join()
    shutil.rmtree(folder / "work", ignore_errors=True)
    return done


def next_outcome(receiver) -> Outcome | None:
    """What the process says of its next file; None where it ended or hangs."""
    try:
        for _ in ("number", "outcome"):
            if not receiver.poll(LIMIT_S):
                return None
            message = receiver.recv()
        return message
    except (EOFError, OSError):
        return None


def keep(target: Target, path: Path, number: int, what: str, failures: Path, tally: Tally) -> None:
    """Put a file that fails where it can be looked at."""
    if tally.failed[what] <= KEPT and path.exists():
        failures.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, failures / f"{target.name.replace(' ', '_').replace('/', '_')}-{number}{target.suffix}")
