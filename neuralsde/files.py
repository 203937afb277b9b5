"""Files that are written whole or not at all."""

import io
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEFTOVER = re.compile(r"\..+\.\d+-[0-9a-f]{8}")
"""Name of a file on its way to its place; one of a killed process stays behind."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file, which takes the place of the one at `path` when everything has been written to it.

    Raises:
        OSError: it cannot be written; named by `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        keep_name(path)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # not the temporary file, of which nobody knows
        raise


def keep_name(path: Path) -> None:
    """Let the new name outlast a power cut, where the file system can promise that."""
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_atomically(path: Path, image: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written; named by `path`.
    """
    with replacing(path) as file:
        file.write(image)


def write_whole(path: Path, content: str) -> None:
    """The same of a text."""
    write_atomically(path, content.encode())


def write_picture(path: Path, figure: "Figure", dpi: int = 150) -> None:
    """The same of a matplotlib figure, as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    write_atomically(path, buffer.getvalue())


def remove_leftovers(folder: Path, older_than_s: float = 0.0) -> None:
    """Remove what killed processes left half-written in `folder`.

    Args:
        folder: with its subfolders.
        older_than_s: age from which a file counts as left behind, where other processes may be writing.
    """
    before = time.time() - older_than_s
    for path in folder.rglob(".*"):
        if LEFTOVER.fullmatch(path.name) and path.is_file():
            with suppress(OSError):  # another process was faster, or the folder is read-only: no harm done
                if path.stat().st_mtime <= before:
                    path.unlink()
