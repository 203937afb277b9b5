"""Which files a data path stands for."""

import os
from dataclasses import dataclass
from pathlib import Path

from neuralsde.errors import DataError


@dataclass(frozen=True)
class Files:
    """A recording's files.

    Args:
        train: the file with the training trials (or the only file).
        test: the file with the test trials, where there is a second one.
    """

    train: Path | None
    test: Path | None

    def present(self) -> list[Path]:
        return [path for path in (self.train, self.test) if path is not None]


def find_files(path: str | Path, remedy: str) -> Files:
    """The train and test file in a folder, or the one file that `path` is.

    A file whose name contains `desc-test` is a test file, one with `desc-train` a training file; a lone .nwb file is
    taken whatever its name.

    Args:
        path: a folder or an .nwb file.
        remedy: how to get the files, the end of the error's sentence.

    Raises:
        DataError: there is no such path, no .nwb file in it, or several that cannot be told apart.
    """
    files = choose(Path(path).expanduser(), remedy)
    for file in files.present():
        if not file.is_file() or not os.access(file, os.R_OK):
            raise DataError(f"{file}: cannot be read (a broken link, a folder, or no permission); {remedy}.")
    return files


def choose(path: Path, remedy: str) -> Files:
    if path.is_file():
        return Files(None, path) if "desc-test" in path.name else Files(path, None)
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder; {remedy}.")
    found = sorted(path.glob("*.nwb"))
    train = [p for p in found if "desc-train" in p.name]
    test = [p for p in found if "desc-test" in p.name]
    if len(found) == 1 and not test:
        return Files(found[0], None)
    if len(train) > 1 or len(test) > 1 or (found and not train and not test):
        raise DataError(f"{path}: holds several recordings ({', '.join(p.name for p in found)}); give one file as data.path.")
    if not found:
        raise DataError(f"{path}: holds no .nwb file; {remedy}.")
    return Files(train[0] if train else None, test[0] if test else None)
