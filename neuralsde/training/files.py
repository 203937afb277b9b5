"""Text files of a run's folder."""

import json
import os
from pathlib import Path
from typing import Any

from neuralsde.errors import CheckpointError


def write_whole(path: Path, content: str) -> None:
    """Write a text file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(content, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file of a run holds; empty where there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}): move it away to go on without it.") from error
