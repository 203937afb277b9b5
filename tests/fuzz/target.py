"""What is fuzzed: a reader, and good files to begin with. A new reader is one file in `targets`."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.random import Generator

Mutation = Callable[[bytes, Generator], bytes]
"""Makes another file's bytes of good ones."""


@dataclass(frozen=True)
class Target:
    """A reader.

    Args:
        name: of the target.
        suffix: of the files that it reads.
        seeds: writes good files into a folder, and returns them.
        read: reads a file as a user would; what it returns is of no matter.
        mutations: those that know what such files are made of; raw bytes are mutated besides.
        guided: whether coverage guides further mutations (readers that are Python all the way down to the bytes).
        share: of the files of a run that this target gets, beside others' 1.
    """

    name: str
    suffix: str
    seeds: Callable[[Path], Iterable[Path]]
    read: Callable[[Path], Any]
    mutations: Sequence[Mutation] = ()
    guided: bool = False
    share: float = 1.0


def all_targets() -> dict[str, Target]:
    """Every `TARGETS` of the modules in `targets`, by name."""
    package = importlib.import_module("tests.fuzz.targets")
    modules = [importlib.import_module(f"tests.fuzz.targets.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    return {target.name: target for module in modules for target in module.TARGETS}
