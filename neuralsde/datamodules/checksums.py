"""SHA-256 of data files, kept so that a large recording is hashed once."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from neuralsde.errors import DataError
from neuralsde.files import write_whole


def sha256_of(path: Path, cache: Path | None = None) -> str:
    """The file's SHA-256, from the cache where the file has not changed (by place, size and time of modification).

    Args:
        path: the file.
        cache: the JSON file to keep it in; by default `checksums.json` in the user's cache folder.

    Raises:
        DataError: there is no such file.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path} to take the checksum of: check data.path.")
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "neuralsde" / "checksums.json"
    stat = path.stat()
    key, state = str(path.resolve()), [stat.st_size, stat.st_mtime_ns]
    known = read_cache(cache)
    if known.get(key, [None])[:-1] == state:
        return known[key][-1]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write_cache(cache, known | {key: [*state, digest]})
    return digest


def read_cache(cache: Path) -> dict[str, list]:
    """What is kept; nothing where the file is missing or damaged, as all of it can be computed again."""
    try:
        return json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}


def write_cache(cache: Path, content: dict[str, list]) -> None:
    """Keep it, where the folder can be written; a run does not fail for want of a cache."""
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_whole(cache, json.dumps(content))
