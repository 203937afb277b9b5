"""Building a part from its config, with errors that a user can act on."""

import re
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from neuralsde.errors import ConfigError, NeuralSDEError


def by_kind(counts: Any, other: Any, *, _root_: DictConfig) -> Any:
    """`${by_kind:A,B}` in a config: A where the data are counts, B where they are anything else."""
    return counts if _root_.spec.kind == "counts" else other


def by_noise(brownian: Any, other: Any, *, _root_: DictConfig) -> Any:
    """`${by_noise:A,B}` in a config: A where Brownian motion drives the dynamics, B where another noise does."""
    target = OmegaConf.select(_root_, "model.noise._target_", default="")
    return brownian if target in ("", "neuralsde.noise.Brownian.of") else other


def ratio(numerator: float, denominator: Any) -> float:
    """`${ratio:A,B}` in a config: A / B; A where B is no positive number, which its own part refuses."""
    return numerator / denominator if isinstance(denominator, int | float) and denominator > 0 else numerator


def job_of_sweep() -> str:
    """`${job_of_sweep:}` in a config: `_3` in the job with number 3 of a sweep, whose jobs may begin in the same second."""
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    return f"_{hydra.job.num}" if hydra is not None and hydra.mode is RunMode.MULTIRUN else ""


OmegaConf.register_new_resolver("job_of_sweep", job_of_sweep, replace=True)
OmegaConf.register_new_resolver("by_kind", by_kind, replace=True)
OmegaConf.register_new_resolver("by_noise", by_noise, replace=True)
OmegaConf.register_new_resolver("ratio", ratio, replace=True)


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
        unknown = re.search(r"got an unexpected keyword argument '(\w+)'$", reason)
        place = re.search(r"target '[\w.]*?(\w+)'.*^full_key: (\S+)$", str(error), re.DOTALL | re.MULTILINE)
        if unknown and place:
            setting, (part, where) = unknown.group(1), place.groups()
            raise ConfigError(
                f"{where}.{setting} is set, but {part} has no such setting: leave it out, with ~{where}.{setting} where an "
                "experiment sets it for another part."
            ) from error
        raise ConfigError(f"{name} cannot be built from its settings: {reason}.") from error
