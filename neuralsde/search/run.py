"""A search from its config to its winner: check, take up what is done, train legs until none is left, hand out the best."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.files import write_whole
from neuralsde.search.driver import Search
from neuralsde.search.in_process import train_in_process
from neuralsde.search.ledger import is_search
from neuralsde.search.leg import History
from neuralsde.search.on_ray import train_on_ray
from neuralsde.search.progress import SearchProgress
from neuralsde.search.settings import Prepared, prepare_search
from neuralsde.search.wandb_runs import log_trials
from neuralsde.search.winner import write_winner
from neuralsde.training.checkpoint import differences
from neuralsde.training.targets import refuse_own_trust

FREE = ("run_dir", "logger", "search.concurrent", "search.gpus_per_trial", "search.ray", "search.address")
"""Settings that may be others when a search goes on: where and how fast it trains, not what."""
SHOWN = 4  # trials in the table at the end


def search(config: DictConfig, allow_targets: Sequence[str] = ()) -> float:
    """Search as `config` describes, or go on with the search in its `run_dir`; returns the winner's validation score.

    Args:
        config: composed.
        allow_targets: further packages whose classes the config may build.

    Raises:
        NeuralSDEError: anything a user can mend, in one sentence.
    """
    if config.get("search") is None:
        raise ConfigError("search is null; choose search=pbt, asha or random.")
    refuse_own_trust(config, allow_targets)
    config = taken_up(config)
    prepared = prepare_search(config, tuple(allow_targets))
    prepared.folder.mkdir(parents=True, exist_ok=True)
    write_whole(prepared.folder / "config.yaml", OmegaConf.to_yaml(config, resolve=False))
    history = train_all(prepared)
    log_trials(prepared, history)
    winner = write_winner(prepared, history)
    print_ranking(prepared, history)
    print(f"{prepared.folder}: search.json, table.csv, plots/; {winner}: the best trial, a run like any other.")
    print(f"Open it in Python with neuralsde.load({str(winner)!r}).")
    return history.ranking()[0].outcome.best


def taken_up(config: DictConfig) -> DictConfig:
    """The config with a resolved `run_dir`; that of the search in this folder, if there is one.

    Raises:
        ConfigError: the folder holds a search of other settings.
    """
    folder = Path(config.run_dir)
    plain: Any = OmegaConf.to_container(config, resolve=False)
    config = OmegaConf.create({**plain, "run_dir": str(folder)})
    if not is_search(folder):
        return config
    earlier = settings_of(folder / "config.yaml")
    words = words_of_command()
    for key in FREE:
        if words is None or any(word.startswith(key) for word in words):
            OmegaConf.update(earlier, key, OmegaConf.select(config, key), force_add=True)
    OmegaConf.update(earlier, "run_dir", str(folder))
    if words is None or any(word != "search" and not word.startswith(FREE) for word in words):
        refuse_other_search(folder, earlier, config)
    return earlier


def settings_of(path: Path) -> DictConfig:
    """A search's own settings, which are not resolved: the sizes of the data are still to come.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        config = OmegaConf.load(path)
        plain = OmegaConf.to_container(config, resolve=False)
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise CheckpointError(f"{path} cannot be read as settings of a search: begin anew in another run_dir.") from error
    if not isinstance(config, DictConfig) or not isinstance(plain, dict) or "search" not in plain:
        raise CheckpointError(f"{path} holds no settings of a search: begin anew in another run_dir.")
    return config


def words_of_command() -> list[str] | None:
    """Names of the settings on the command line; None where no command line composed the config."""
    if not HydraConfig.initialized():
        return None
    words = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    return [str(word.key_or_group) for word in words]


def refuse_other_search(folder: Path, earlier: DictConfig, config: DictConfig) -> None:
    """Raises:
    ConfigError: a search would go on with other settings than those that it was begun with.
    """
    plain = (OmegaConf.to_container(one, resolve=False) for one in (earlier, config))
    for key, was, asked in differences("", *plain):
        raise ConfigError(
            f"{folder} holds a search with {key.lstrip('.')}={was}, but this one asks for {asked}: go on with it by "
            f"run_dir={folder} alone, or give another run_dir."
        )


def train_all(prepared: Prepared) -> History:
    """Train what is left of a search.

    Raises:
        SystemExit: it was stopped, with a sentence on how to go on.
    """
    with SearchProgress(prepared.searched.monitor) as progress, stopped_by_signals(prepared.folder):
        search = Search(prepared, progress)
        announce(prepared, search)
        if search.due():
            (train_on_ray if prepared.config.search.ray else train_in_process)(search)
    return search.history


def announce(prepared: Prepared, search: Search) -> None:
    """Say what is about to happen."""
    done, searched, settings = len(search.history.legs), prepared.searched, prepared.config.search
    stops = ", ".join(map(str, searched.stops))
    print(f"{type(prepared.method).__name__}: {settings.n_trials} trials, stops after {stops} epochs, by {searched.monitor}")
    print(f"searched: {', '.join(prepared.space.laws)}")
    print(f"run_dir: {prepared.folder}" + f"; {done} legs are done already" * (done > 0))


@contextmanager
def stopped_by_signals(folder: Path) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the search in order, with a sentence; what has been trained stays."""

    received: list[int] = []  # remembered here, since Ray raises an interrupt of its own in place of this one

    def stop(number: int, _: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        print(f"Stopped; go on with neuralsde search run_dir={folder}", file=sys.stderr)
        raise SystemExit(143 if received else 130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def print_ranking(prepared: Prepared, history: History) -> None:
    """The best trials with their settings, on standard output."""
    ranking = history.ranking()
    title = f"{len(ranking)} trials by {prepared.searched.monitor} on validation trials"
    table = Table(title=title, title_justify="left")
    table.add_column("trial")
    for one in ranking[:SHOWN]:
        table.add_column(str(one.leg.trial), justify="right")
    table.add_row(prepared.searched.monitor, *(f"{one.outcome.best:.4f}" for one in ranking[:SHOWN]), style="bold")
    for key in prepared.space.laws:
        table.add_row(key, *(str(one.leg.settings[key]) for one in ranking[:SHOWN]))
    Console().print(table)
    for one in history.legs:
        if one.failed:
            print(f"trial {one.leg.trial}, generation {one.leg.generation} failed: {one.outcome.failure}")
