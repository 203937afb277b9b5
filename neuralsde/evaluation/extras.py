"""Libraries that only some users need."""

import importlib
from typing import Any

from neuralsde.errors import ConfigError


def needed(module: str, extra: str, use: str) -> Any:
    """The library `module`, which an extra of this package installs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ConfigError(f"{use} needs {module}, which is not installed: pip install 'neuralsde[{extra}]'.") from error
