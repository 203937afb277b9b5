"""Text files of a run's folder, which anyone may have edited."""

import json
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from neuralsde.errors import CheckpointError
from neuralsde.training import plain_values, shape

MOST_BYTES = 1 << 26
"""Of a text file that is read whole; ours are a thousandth of it."""


def read_text(path: Path) -> str:
    """A text file.

    Raises:
        ValueError: it is no text, or far longer than a run's.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"it has {size / 1e6:.0f} MB")
    return path.read_text(encoding="utf-8")


def read_json(path: Path, wanted: Any = None) -> dict[str, Any]:
    """What a JSON file of a run holds; empty where there is none.

    Args:
        path: the file.
        wanted: what it has to look like, see `neuralsde.training.shape`.

    Raises:
        CheckpointError: it is damaged, or looks otherwise.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(read_text(path))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__} where names with values are needed")
        if reason := shape.fault_of(content, wanted or {}):
            raise ValueError(reason)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({error}): move it away to go on without it.") from error
    return content


def read_config(path: Path) -> DictConfig:
    """A run's `config.yaml`, which refers to nothing outside itself.

    Raises:
        CheckpointError: it is damaged, or holds what no run writes.
    """
    try:
        text = read_text(path)
        refuse_growing(text)
        config = OmegaConf.create(text)
        if not isinstance(config, DictConfig):
            raise ValueError("it holds no settings")
        if reason := plain_values.fault_of(OmegaConf.to_container(config)):
            raise ValueError(f"it {reason}")
    except (ValueError, TypeError, AttributeError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise CheckpointError(
            f"{path} is damaged ({' '.join(str(error).split())}): the run's checkpoints hold its settings too."
        ) from error
    return config


def refuse_growing(text: str) -> None:
    """Raises:
    ValueError: a YAML text repeats parts of itself by name, which could grow without end, or is deeply nested.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > plain_values.DEEPEST:
            raise ValueError(f"it repeats a part of itself by name, or has more than {plain_values.DEEPEST} levels")
