"""Where the text records lie: in an archive, whose members are read in memory and never extracted, or in a folder."""

import hashlib
import re
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from neuralsde.datamodules.checksums import sha256_of
from neuralsde.errors import DataError

RECORD = re.compile(r"\d+\.txt")
OUTCOMES = re.compile(r"Outcomes-[abc]\.txt")
LARGEST_BYTES = 10_000_000
"""A record has some 10 kB; a member that claims more is none."""
WHERE = "set-a.tar.gz (and set-b.tar.gz) of physionet.org/files/challenge-2012/1.0.0, or the folder they lie in"


class Source(NamedTuple):
    """One set of records.

    Args:
        set_name: `a` or `b`.
        path: its archive, or the folder of its records.
    """

    set_name: str
    path: Path


class Texts(NamedTuple):
    """What a source holds.

    Args:
        records: content of each record by file name, in order of the names.
        outcomes: content of the outcomes' file; None where there is none.
    """

    records: dict[str, bytes]
    outcomes: bytes | None


def find_sources(path: Path, sets: str) -> list[Source]:
    """The sets that a path stands for: an archive, a folder of records, or a folder that holds either.

    Args:
        path: as set.
        sets: `a`, `b`, `ab`, or `found` for those that are there.

    Raises:
        DataError: one that is asked for is not there.
    """
    if not path.exists():
        raise DataError(f"There is no {path}; set data.reader.path to {WHERE}.")
    found = {name: place for name in "ab" if (place := place_of(path, name)) is not None}
    wanted = "".join(found) if sets == "found" else sets
    missing = [name for name in wanted if name not in found]
    if missing or not wanted:
        raise DataError(
            f"{path}: holds no records of set {(missing or ['a'])[0]}; set data.reader.path to {WHERE}, or see "
            "data.reader.sets."
        )
    return [Source(name, found[name]) for name in wanted]


def place_of(path: Path, set_name: str) -> Path | None:
    """Archive or folder of one set; None where there is none."""
    if path.is_file():
        return path if f"set-{set_name}" in path.name or (set_name == "a" and "set-" not in path.name) else None
    for candidate in (path / f"set-{set_name}.tar.gz", path / f"set-{set_name}.tar", path / f"set-{set_name}"):
        if candidate.exists():
            return candidate
    is_itself = path.name == f"set-{set_name}" or (set_name == "a" and not path.name.startswith("set-"))
    return path if is_itself and any(RECORD.fullmatch(p.name) for p in path.iterdir()) else None


def read_texts(source: Source) -> Texts:
    """Records and outcomes of a source.

    Raises:
        DataError: there are none, or the archive is damaged.
    """
    records, outcomes = read_folder(source.path) if source.path.is_dir() else read_tar(source.path)
    if not records:
        raise DataError(f"{source.path}: holds no records NUMBER.txt; give {WHERE}.")
    beside = outcomes_file(source)
    if outcomes is None and beside is not None:
        outcomes = beside.read_bytes()
    return Texts(dict(sorted(records.items())), outcomes)


def outcomes_file(source: Source) -> Path | None:
    """The outcomes' file beside a source, or in its folder; None where there is none."""
    name = f"Outcomes-{source.set_name}.txt"
    return next((p for p in (source.path / name, source.path.parent / name) if p.is_file()), None)


def read_folder(folder: Path) -> tuple[dict[str, bytes], bytes | None]:
    """Content of the records in a folder by file name."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if RECORD.fullmatch(p.name)}, None


def read_tar(path: Path) -> tuple[dict[str, bytes], bytes | None]:
    """Content of the records in an archive by file name, and of its outcomes.

    Raises:
        DataError: the archive is damaged, a member too large, or a record there twice.
    """
    records, outcomes = {}, None
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if not member.isfile() or not (RECORD.fullmatch(name) or OUTCOMES.fullmatch(name)):
                    continue
                content = member_bytes(archive, member, path)
                if OUTCOMES.fullmatch(name):
                    outcomes = content
                elif name in records:
                    raise DataError(f"{path}: holds record {name} twice; give the original archive.")
                else:
                    records[name] = content
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        reason = str(error).partition(":\n")[0]  # tarfile lists what it tried
        raise DataError(
            f"{path}: the archive cannot be read ({reason}); it is damaged or cut short: fetch it again."
        ) from error
    return records, outcomes


def member_bytes(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    """Content of a plain file of an archive.

    Raises:
        DataError: it is larger than a record can be.
    """
    if member.size > LARGEST_BYTES:
        raise DataError(
            f"{path}: member {member.name[:80]} has {member.size} bytes, more than a record; give the original archive."
        )
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def digest_of(source: Source) -> str:
    """SHA-256 of an archive, or of the names and contents of a folder's records; with the outcomes beside it."""
    digest = hashlib.sha256()
    if source.path.is_dir():
        for path in sorted(p for p in source.path.iterdir() if RECORD.fullmatch(p.name)):
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    else:
        digest.update(sha256_of(source.path).encode())
    if (beside := outcomes_file(source)) is not None:
        digest.update(hashlib.sha256(beside.read_bytes()).digest())
    return digest.hexdigest()
