"""Libraries of an extra, imported only where they are needed."""

import importlib
from types import ModuleType

from neuralsde.errors import ConfigError


def extra_module(name: str, extra: str, needed_for: str) -> ModuleType:
    """A module of an extra.

    Args:
        name: of the module, such as `aeon.datasets`.
        extra: of this package that installs it.
        needed_for: what cannot be done without it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        library = name.split(".")[0]
        raise ConfigError(f'{needed_for} needs {library}: pip install "neuralsde[{extra}]".') from error
