"""Fetches the Neural Latents Benchmark's files from the DANDI archive: pinned, resumed where cut off, and verified."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from omegaconf import OmegaConf
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from neuralsde.datamodules.nwb.hdf5 import choices
from neuralsde.errors import DataError

ARCHIVE = "https://api.dandiarchive.org/api"
MANIFEST = Path(__file__).with_name("dandi.yaml")
BLOCK_BYTES = 1 << 20
TIMEOUT_S = 60


@dataclass(frozen=True)
class PinnedFile:
    """A file of the archive.

    Args:
        dandiset, version: where it lies, such as `000140` and `0.220113.0408`.
        path: its path there.
        bytes: its size.
        sha256: its checksum.
    """

    dandiset: str
    version: str
    path: str
    bytes: int
    sha256: str

    @property
    def name(self) -> str:
        return self.path.split("/")[-1]


def known_names(manifest: Path = MANIFEST) -> list[str]:
    """Names of the data that can be fetched."""
    return sorted(str(name) for name in OmegaConf.load(manifest))


def pinned_files(name: str, manifest: Path = MANIFEST) -> list[PinnedFile]:
    """The files of one data set.

    Raises:
        DataError: there is no data set of that name.
    """
    entries = OmegaConf.to_container(OmegaConf.load(manifest))
    assert isinstance(entries, dict)
    if name not in entries:
        raise DataError(f"`{name}` cannot be downloaded; {choices(name, known_names(manifest))}.")
    entry = entries[name]
    where = {"dandiset": str(entry["dandiset"]), "version": str(entry["version"])}
    files = [PinnedFile(**where, **file) for file in entry["files"]]
    if escaping := [file.path for file in files if file.name in ("", ".", "..") or Path(file.name).name != file.name]:
        raise DataError(f"{manifest}: {escaping[0]!r} names no file inside the data folder; correct the list.")
    return files


def download(
    name: str,
    folder: str | Path | None = None,
    archive: str = ARCHIVE,
    manifest: Path = MANIFEST,
    show_progress: bool = True,
) -> list[Path]:
    """Fetch a data set's files; those that are there and whole are kept, a part of one is continued.

    Args:
        name: such as `nlb_mc_maze`.
        folder: where to put the files; `data/<name>` where not given.
        archive: address of the archive's interface.
        manifest: list of the files.
        show_progress: whether to draw a progress bar.

    Returns:
        The files' paths.

    Raises:
        DataError: unknown name, no connection, no space, or a file that is not the pinned one.
    """
    files = pinned_files(name, manifest)
    target = Path(folder) if folder is not None else Path("data") / name
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with told(name, target), Progress(TextColumn("{task.description}"), *columns, disable=not show_progress) as bar:
        target.mkdir(parents=True, exist_ok=True)
        return [fetch(file, target / file.name, archive, bar) for file in files]


@contextmanager
def told(name: str, folder: Path) -> Iterator[None]:
    """Turn what goes wrong on the way into one sentence with the command that goes on."""
    again = f"python -m neuralsde download {name}"
    try:
        yield
    except HTTPError as error:
        raise DataError(
            f"{error.url} answered {error.code} ({error.reason}); try `{again}` later, or fetch the files by hand "
            f"into {folder}."
        ) from error
    except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise DataError(
            f"{name}: the archive cannot be reached or broke off ({reason}); what has arrived is kept: check the "
            f"network and run `{again}` again."
        ) from error
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}); free some space or choose another folder, then "
            f"run `{again}` again."
        ) from error


def fetch(file: PinnedFile, target: Path, archive: str, bar: Progress) -> Path:
    """Bring one file to `target`, by way of a `.part` file beside it."""
    task = bar.add_task(file.name, total=file.bytes)
    if target.is_file() and target.stat().st_size == file.bytes and checksum(target) == file.sha256:
        bar.update(task, completed=file.bytes)
        return target
    part = target.with_name(f".{target.name}.part")
    if part.exists() and part.stat().st_size > file.bytes:
        part.unlink()
    here = part.stat().st_size if part.exists() else 0
    if here < file.bytes:
        check_space(target.parent, file.bytes - here)
        url = asset_url(file, archive)
        for done in stream(url, part, here):
            bar.update(task, completed=done)
            if done > file.bytes:
                break  # an endless answer must not fill the disk; `verify` refuses it
    verify(part, file)
    os.replace(part, target)
    return target


def asset_url(file: PinnedFile, archive: str) -> str:
    """Address of a file's content.

    Raises:
        DataError: the archive does not list the file.
    """
    query = urlencode({"path": file.path})
    with open_url(f"{archive}/dandisets/{file.dandiset}/versions/{file.version}/assets/?{query}") as answer:
        listed = json.load(answer).get("results", [])
    found = [asset["asset_id"] for asset in listed if asset.get("path") == file.path]
    if not found:
        raise DataError(f"{archive}: does not list {file.path} in dandiset {file.dandiset}/{file.version}; update neuralsde.")
    return f"{archive}/assets/{found[0]}/download/"


def stream(url: str, part: Path, here: int) -> Iterator[int]:
    """Append what is missing of a file to `part`, from byte `here`; yields the bytes that have arrived."""
    with open_url(url, {"Range": f"bytes={here}-"} if here else {}) as answer:
        resumed = answer.status == 206
        done = here if resumed else 0
        try:
            with part.open("ab" if resumed else "wb") as out:
                while block := answer.read(BLOCK_BYTES):
                    out.write(block)
                    done += len(block)
                    yield done
        except (TimeoutError, ConnectionError, HTTPException):
            raise  # what has arrived is good: the next call goes on from there
        except OSError:
            part.unlink(missing_ok=True)  # the disk failed, not the network
            raise


def open_url(url: str, headers: dict[str, str] | None = None):
    return urlopen(Request(url, headers={"User-Agent": "neuralsde", **(headers or {})}), timeout=TIMEOUT_S)


def verify(part: Path, file: PinnedFile) -> None:
    """Refuse a file that is not the pinned one.

    Raises:
        ConnectionError: it is shorter, since the connection ended early.
        DataError: it is another file; it is removed.
    """
    if (size := part.stat().st_size) < file.bytes:
        raise ConnectionError(f"{size} of {file.bytes} bytes of {file.name}")
    if size > file.bytes or checksum(part) != file.sha256:
        part.unlink()
        raise DataError(
            f"{file.name}: what arrived is not the pinned file (its SHA-256 differs) and was removed; run the same "
            "command again, and if that does not help, report it."
        )


def checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_space(folder: Path, needed: int) -> None:
    """Refuse to start what the disk cannot hold."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{folder}: needs {needed / 1e6:.0f} MB but only {free / 1e6:.0f} MB are free; free some space or choose "
            "another folder."
        )
