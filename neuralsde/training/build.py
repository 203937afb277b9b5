"""Building a part from its config, with errors that a user can act on."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from neuralsde.errors import ConfigError, NeuralSDEError


def instantiate_part(config: DictConfig, name: str) -> Any:
    """The object that `config[name]` describes.

    Raises:
        ConfigError: the part refuses its settings; the sentence names the part and the reason.
    """
    try:
        return instantiate(config[name])
    except InstantiationException as error:
        if isinstance(error.__cause__, NeuralSDEError):
            raise error.__cause__ from error
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ConfigError(f"{name} cannot be built from its settings: {reason}.") from error
