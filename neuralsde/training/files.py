"""Text files of a run's folder."""

import json
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from neuralsde.errors import CheckpointError


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file of a run holds; empty where there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__} where names with values are needed")
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}): move it away to go on without it.") from error
    return content


def read_config(path: Path) -> DictConfig:
    """A run's `config.yaml`.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        config = OmegaConf.create(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise CheckpointError(
            f"{path} is damaged ({' '.join(str(error).split())}): the run's checkpoints hold its settings too."
        ) from error
    if not isinstance(config, DictConfig):
        raise CheckpointError(f"{path} is damaged (it holds no settings): the run's checkpoints hold its settings too.")
    return config
