"""Which further packages a command may build classes of: said by whoever types it, never by a file."""

import argparse
import os
from collections.abc import Sequence

VARIABLE = "NEURALSDE_ALLOW_TARGETS"
"""Where the jobs of a sweep, which have a command line of their own, find what was typed."""
WORD = "allow_targets="


def remember(words: Sequence[str]) -> None:
    """Keep the last `allow_targets=[…]` among the words of a command line for `trusted`.

    A config file could write into the words that Hydra reports, so that they are taken from the command line itself.
    """
    given = [word.lstrip("+").removeprefix(WORD) for word in words if word.lstrip("+").startswith(WORD)]
    if given:
        os.environ[VARIABLE] = given[-1].strip("[]'\" ")


def trusted() -> tuple[str, ...]:
    """The packages that the command line, or the environment, names."""
    return names(os.environ.get(VARIABLE, ""))


def names(text: str) -> tuple[str, ...]:
    """Names between commas, such as `mypackage.,other.`."""
    return tuple(name for part in text.split(",") if (name := part.strip(" '\"")))


def add_trust(parser: argparse.ArgumentParser) -> None:
    """The option of commands that open checkpoints."""
    parser.add_argument(
        "--allow-targets", type=names, default=(), metavar="PACKAGE.,…", help="further packages whose classes it may build"
    )
