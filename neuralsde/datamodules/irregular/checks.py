"""What readers of irregular series ask of their settings; each refusal names the key, what it is and what it may be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuralsde.datamodules.settings import is_number, is_whole
from neuralsde.errors import ConfigError, DataError


def checked_share(name: str, value: Any, below_one: bool = True) -> float:
    """A share from 0 to below 1, or to 1 itself.

    Raises:
        ConfigError: it is another.
    """
    if not is_number(value) or not 0 <= value <= 1 or (below_one and value == 1):
        raise ConfigError(f"data.reader.{name} is {value}; give a share from 0 to {'below ' if below_one else ''}1.")
    return float(value)


def checked_choice(name: str, value: Any, choices: Sequence[str], section: str = "data.reader") -> str:
    """One of `choices`; `section` is where the setting stands.

    Raises:
        ConfigError: it is none of them.
    """
    if value not in choices:
        raise ConfigError(f"{section}.{name} is {value}; give one of {', '.join(choices)}.")
    return value


def checked_seed(name: str, value: Any) -> int:
    """A seed of a generator, 0 among them.

    Raises:
        ConfigError: it is no whole number from 0 to 2³² − 1.
    """
    if not is_whole(value) or not 0 <= value < 2**32:
        raise ConfigError(f"data.reader.{name} is {value}; give a whole number from 0 to {2**32 - 1}.")
    return int(value)


def checked_shares(name: str, value: Any) -> tuple[float, float, float]:
    """Shares of training, validation and test series, which sum to one.

    Raises:
        ConfigError: they are no three numbers above 0 with that sum.
    """
    if not isinstance(value, Sequence) or len(value) != 3 or not all(is_number(v) and v > 0 for v in value):
        raise ConfigError(f"data.reader.{name} is {value}; give three shares above 0, such as [0.7, 0.15, 0.15].")
    if abs(sum(value) - 1) > 1e-6:
        raise ConfigError(f"data.reader.{name} is {list(value)}, with sum {sum(value):g}; give three shares that sum to 1.")
    train, val, test = (float(v) for v in value)
    return train, val, test


def existing(path: str | Path, where: str, what: str = "file") -> Path:
    """A file or folder that is there.

    Args:
        path: as set.
        where: where such data come from, the end of the error's sentence.
        what: `file` or `folder`.

    Raises:
        DataError: it is not there, or of the other kind.
    """
    found = Path(path).expanduser()
    if not (found.is_dir() if what == "folder" else found.is_file()):
        raise DataError(f"There is no {what} {found}; set data.reader.path to {where}.")
    return found
