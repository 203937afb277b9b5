"""Which files of a folder make up a set, and reading one by its ending."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

from neuralsde.datamodules.irregular.archive.arff import read_arff
from neuralsde.datamodules.irregular.archive.case import Case
from neuralsde.datamodules.irregular.archive.libras import read_libras
from neuralsde.datamodules.irregular.archive.ts import read_ts
from neuralsde.datamodules.irregular.archive.tsv import read_tsv
from neuralsde.errors import DataError

READERS: dict[str, Callable[[str, Path], list[Case]]] = {
    ".ts": read_ts,
    ".tsv": read_tsv,
    ".arff": read_arff,
    ".data": read_libras,
}
"""Reader of each ending; where a folder has several, the first is taken."""


def archive_files(folder: Path, name: str) -> list[Path]:
    """The training and the test file of a set, or its one file, in `folder` or its subfolder `name`.

    Raises:
        DataError: there are none, or one of the two alone.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; set data.reader.path to one that holds {name}_TRAIN.ts, .tsv or .arff.")
    for place in (folder / name, folder):
        for ending in READERS:
            if found := parts_in(place, name, ending):
                return found
    raise DataError(
        f"{folder}: holds no {name}_TRAIN and {name}_TEST in .ts, .tsv or .arff, nor one .data file, plain or .gz; "
        "check data.reader.path and data.reader.name."
    )


def parts_in(place: Path, name: str, ending: str) -> list[Path]:
    """Files of one ending: both parts, or one file without parts; none where there are none.

    Raises:
        DataError: one of the two parts is missing.
    """
    parts = [
        [p for p in (place / f"{name}_{part}{ending}{z}" for z in ("", ".gz")) if p.is_file()] for part in ("TRAIN", "TEST")
    ]
    if all(parts):
        return [part[0] for part in parts]
    if any(parts):
        there = next(part[0] for part in parts if part)
        raise DataError(f"{place}: holds {there.name}, but not its other part; both are needed, as they are merged.")
    single = sorted([*place.glob(f"*{ending}"), *place.glob(f"*{ending}.gz")]) if ending == ".data" else []
    return single[:1]


def read_archive_file(path: Path) -> list[Case]:
    """Cases of a file, by its ending.

    Raises:
        DataError: it is damaged, or holds no series.
    """
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # as in the names of authors in the comments of some files
    cases = READERS[Path(path.name.removesuffix(".gz")).suffix](text, path)
    if not cases:
        raise DataError(f"{path}: holds no series; it is empty, or cut short.")
    return cases


def read_bytes(path: Path) -> bytes:
    """Content of a plain or a gzip file.

    Raises:
        DataError: it cannot be read, or is damaged.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); it is damaged or cut short: fetch it again.") from error
