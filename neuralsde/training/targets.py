"""What a config may build: decided by name and by place of definition, before anything of it is imported or run."""

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from torch.optim import Optimizer

from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import CheckpointError, ConfigError, NeuralSDEError
from neuralsde.training.sizes import KINDS

PARTS = ("nn", "sde", "noise", "solvers", "likelihoods", "inference", "models", "datamodules")
"""Parts of the package whose classes, and class methods such as `Brownian.of`, a config may build."""
SCHEDULES = "neuralsde.training.schedules"
"""The one module whose functions it may call."""
OPTIMIZERS = "torch.optim"
ALLOWED = (*(f"neuralsde.{part}." for part in PARTS), f"{SCHEDULES}.", f"{OPTIMIZERS}.")
BUILT = ("data", "model", "objective", "optimizer", "schedule", "training")
"""Sections of a config that describe objects."""


def refuse_foreign_targets(
    config: Any, where: str, otherwise: str, allowed: Iterable[str] = (), error: type[NeuralSDEError] = CheckpointError
) -> None:
    """Check every `_target_` in a nested config of plain values; a name is looked up only where its package is allowed.

    `neuralsde.workflow.os.system` begins well and is not ours; `neuralsde.load` is ours and would read another checkpoint.

    Args:
        config: what would be built.
        where: it comes from, the start of the sentence.
        otherwise: what the user may do about it.
        allowed: further packages, in which a config may name anything.
        error: what to raise.

    Raises:
        NeuralSDEError: the config names something else.
    """
    further = tuple(packages(allowed))
    for target in targets_in(config):
        if further and target.startswith(further):
            continue
        if reason := fault_of(target):
            raise error(f"{where} asks for {target}, {reason}; {otherwise}.")


def packages(names: Iterable[str]) -> Iterator[str]:
    """Names of packages, each with the dot that ends it: `mypackage` must not allow `mypackage_of_a_stranger`."""
    for name in names:
        if not isinstance(name, str) or not name.strip("."):
            raise ConfigError(f"allow_targets names {name!r}; give names of packages, such as mypackage.")
        yield name.rstrip(".") + "."


def fault_of(target: str) -> str:
    """Why a config may not build `target`; empty where it may."""
    if not target.startswith(ALLOWED) or any(part.startswith("_") for part in target.split(".")):
        return "which a config may not build"
    try:
        found = get_object(target)
    except Exception as error:  # looking a name up meets whatever error the module's own code raises
        return f"which this installation does not have ({str(error).splitlines()[0]})"
    return "" if may_be_built(found) else "which a config may not build"


def may_be_built(found: Any) -> bool:
    """Whether an object is a class, a class method, a schedule or an optimiser, and defined where such things are."""
    if inspect.isfunction(found):
        return found.__module__ == SCHEDULES
    owner, defined = (found.__self__, found.__func__) if inspect.ismethod(found) else (found, found)
    if not inspect.isclass(owner):
        return False
    if issubclass(owner, Optimizer):
        return defined is owner and f"{owner.__module__}.".startswith(f"{OPTIMIZERS}.")
    return f"{defined.__module__}.".startswith(ALLOWED[: len(PARTS)])


def targets_in(node: Any) -> Iterator[str]:
    """Every `_target_` in a nested config."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from targets_in(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from targets_in(value)


def refuse_own_trust(config: DictConfig, allowed: Iterable[str]) -> None:
    """Take `allow_targets` out of a config, where it has a place so that the command line may give it.

    Raises:
        ConfigError: a file of the config, rather than the command line, names packages to trust.
    """
    if own := set(config.get("allow_targets") or ()) - set(allowed):
        raise ConfigError(
            f"A config file sets allow_targets to {', '.join(map(str, sorted(own)))}, but it counts on the command line alone: "
            "repeat it there if you trust the package."
        )
    with open_dict(config):
        config.pop("allow_targets", None)


def check_targets(config: DictConfig, allowed: Iterable[str] = ()) -> None:
    """Hold a run's config against what may be built, with every kind of data in place of those that are not read yet.

    Args:
        config: composed; `spec` may be missing.
        allowed: further packages, given on the command line.

    Raises:
        ConfigError: it names something else, or refers to what is not there.
    """
    otherwise = "choose another, or trust its package with allow_targets=[PACKAGE.] on the command line"
    for kind in KINDS:
        refuse_foreign_targets(parts_of(config, kind), "The config", otherwise, allowed, ConfigError)


def parts_of(config: DictConfig, kind: str) -> dict[str, Any]:
    """The sections that describe objects, as plain values for data of `kind`, whatever their sizes."""
    config = config.copy()
    OmegaConf.set_struct(config, False)
    sizes = {**vars(DataSpec(1, 1, 1, 1, 1.0, kind=kind)), "total_bins": 2, "duration_s": 1.0, "widest_s": 1.0}
    config.spec = sizes
    try:
        return {name: plain(config.get(name)) for name in BUILT}
    except OmegaConfBaseException as error:
        raise ConfigError(f"A setting cannot be resolved: {str(error).splitlines()[0]}; check what it refers to.") from error


def plain(section: Any) -> Any:
    """A section of a config as plain values, everything that it refers to in its place."""
    return OmegaConf.to_container(section, resolve=True) if OmegaConf.is_config(section) else section
