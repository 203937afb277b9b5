"""What Hydra cannot compose, told in one sentence that names what there is."""

import difflib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from neuralsde.errors import ConfigError

T = TypeVar("T")


def composed_or_explained(main: Callable[[], T], configs: str) -> T:
    """What Hydra's `main` returns.

    Args:
        main: composes the command line and runs it.
        configs: folder of the configs.

    Raises:
        ConfigError: the command line cannot be composed.
    """
    try:
        return main()
    except HydraException as error:
        raise ConfigError(explained(error, sys.argv[1:], configs)) from error


def explained(error: HydraException, words: Sequence[str], configs: str) -> str:
    """A sentence on a mistake in the words of the command line.

    Args:
        error: what Hydra said of them.
        words: of the command line.
        configs: folder of the configs.
    """
    text = str(error)
    if found := re.search(r"Could not find '([^'\n]+)/([^'/\n]+)'", text):
        group, choice = found.groups()
        if group == "hydra/launcher" and choice.startswith("submitit"):
            return f"{group}={choice} needs the extra slurm: pip install 'neuralsde[slurm]'."
        there = re.search(r"Available options in '.*':\n((?:\t.*\n)+)", text)
        if there is not None:
            return f"There is no {group}={choice}; choose one of {', '.join(there[1].split())}."
        if group.startswith("experiment"):
            return unknown_experiment(f"{group}/{choice}".removeprefix("experiment/"), configs)
    if found := re.search(r"Could not override '(.+?)'", text):
        return unknown_key(found[1], words, configs)
    return f"{' '.join(text.splitlines()[0].split()).rstrip('.')}; give words such as data=lorenz or trainer.max_epochs=100."


def unknown_experiment(name: str, configs: str) -> str:
    """A sentence on an experiment that there is none of, with those that are spelt alike, or those of its folder, or all."""
    folder = Path(configs) / "experiment"
    known = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    within = [other for other in known if other.startswith(f"{name}/")]
    alike = difflib.get_close_matches(name, known, n=3, cutoff=0.75) or [k for k in known if k.rpartition("/")[2] == name]
    if alike and not within:
        return f"There is no experiment={name}; did you mean {' or '.join(alike[:3])}?"
    return f"There is no experiment={name}; choose one of {', '.join(within or known)}."


def unknown_key(key: str, words: Sequence[str], configs: str) -> str:
    """A sentence on a setting that there is none of, with those that are spelt alike."""
    if key.startswith("search.space."):
        return f"search.space has no {key.removeprefix('search.space.')} yet; add it with a plus, such as '+{key}=…'."
    others = [word for word in words if "=" in word and word.split("=")[0] != key]
    with initialize_config_dir(configs, version_base="1.3"):
        try:
            known = keys_of(compose("train", overrides=others))
        except HydraException:  # a second mistake, which comes up when the first is mended
            known = keys_of(compose("train"))
    # Spelt alike as a whole, or with the same last part in another place.
    last = key.rpartition(".")[2]
    alike = difflib.get_close_matches(key, known, n=3, cutoff=0.85) or [k for k in known if k.rpartition(".")[2] == last]
    hint = f"did you mean {' or '.join(alike[:3])}?" if alike else "`python train.py --cfg job` lists all."
    return f"There is no setting {key}; {hint}"


def keys_of(config: DictConfig, prefix: str = "") -> list[str]:
    """All settings of a config, as the command line names them; not the groups that hold them."""
    keys: list[str] = []
    for key in map(str, config):
        closed = OmegaConf.is_missing(config, key) or OmegaConf.is_interpolation(config, key)
        inner = None if closed else config[key]
        keys += keys_of(inner, f"{prefix}{key}.") if isinstance(inner, DictConfig) else [f"{prefix}{key}"]
    return keys
