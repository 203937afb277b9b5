"""What commands share: how mistakes are told, results printed and checkpoints opened."""

import argparse
import json
import logging
import math
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from neuralsde.cli.trust import add_trust
from neuralsde.errors import ConfigError, NeuralSDEError

if TYPE_CHECKING:
    from neuralsde.evaluation.ensemble import Ensemble
    from neuralsde.evaluation.load import Run

T = TypeVar("T")
Result = dict[str, Any] | None
"""What a command hands to `--json`."""


def quiet_chatter() -> None:
    """Silence messages that ask nothing of the user; after Lightning's import, which sets its own level."""
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")  # Lightning 2.6 asks pytrees the old way
    # The data are in memory already, so worker processes would only copy them.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")


def run_or_explain(command: Callable[[], T]) -> T:
    """Run `command`; a user's mistake ends the program with one sentence and status 2, without a traceback."""
    try:
        return command()
    except NeuralSDEError as error:
        message = str(error)
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        message = (
            f"{error.filename or 'A file'} cannot be written or read ({error.strerror}): free space, or choose another place."
        )
    print(f"neuralsde: {message}", file=sys.stderr)
    raise SystemExit(2)


def execute(command: Callable[[argparse.Namespace], Result], arguments: argparse.Namespace) -> None:
    """Run a command; with `--json` its result is the one thing on standard output, and all else goes to standard error."""
    if not arguments.json:
        command(arguments)
        return
    with redirect_stdout(sys.stderr):
        result = command(arguments)
    print(json.dumps(finite(result or {})))


def finite(value: Any) -> Any:
    """The same, with None in place of what JSON cannot say."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """The arguments by which a checkpoint and its data are named."""
    parser.add_argument("checkpoint", metavar="CKPT", help="a run's folder, a .ckpt file, or wandb:entity/project/name:alias")
    add_trust(parser)
    add_data_path(parser)


def add_checkpoints(parser: argparse.ArgumentParser) -> None:
    """The arguments by which one or several checkpoints, or the best of a search, and their data are named."""
    text = "a run's folder, a search's folder, a .ckpt file, or wandb:…; rates of several are averaged"
    parser.add_argument("checkpoints", metavar="CKPT", nargs="+", help=text)
    parser.add_argument("--top", type=int, metavar="K", help="of a search's folder: its K best trials (default: the best one)")
    add_trust(parser)
    add_data_path(parser)


def add_data_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-path", metavar="PATH", help="where the recording lies now, if it has moved")


def add_samples(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n-samples", type=int, metavar="N", help="posterior samples (default: the run's own)")


def data_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Settings of the data that the command line replaces."""
    given = {"path": arguments.data_path, "phase": getattr(arguments, "phase", None)}
    return {key: value for key, value in given.items() if value is not None}


def sampling(arguments: argparse.Namespace) -> dict[str, Any]:
    """Settings of the prediction that the command line replaces."""
    return {} if arguments.n_samples is None else {"n_samples": arguments.n_samples}


def opened(arguments: argparse.Namespace, **data: Any) -> "Run":
    """The run that the command line names."""
    from neuralsde.evaluation.load import load

    quiet_chatter()
    settings = {**data_settings(arguments), **data}
    return load(arguments.checkpoint, data=settings, allow_targets=arguments.allow_targets)


def opened_all(arguments: argparse.Namespace) -> "list[Run]":
    """The runs that the command line names, of a search those that `--top` asks for.

    Raises:
        ConfigError: `--top` was given without a search.
    """
    from neuralsde.evaluation.load import load
    from neuralsde.search.ledger import best_checkpoints, is_search

    quiet_chatter()
    paths = []
    for path in arguments.checkpoints:
        if is_search(Path(path)) and arguments.top is not None:
            paths += best_checkpoints(Path(path), arguments.top)
        elif arguments.top is not None:
            raise ConfigError(f"--top {arguments.top} is for a search's folder, but {path} is none: leave it out.")
        else:
            paths.append(path)
    return [load(path, data_settings(arguments), arguments.allow_targets) for path in paths]


def together(runs: "list[Run]") -> "Run | Ensemble":
    """A run, or the ensemble of several."""
    from neuralsde.evaluation.ensemble import Ensemble

    return runs[0] if len(runs) == 1 else Ensemble.of(runs)


def bar(name: str) -> str:
    """A label of a progress bar, where somebody sees it."""
    return name if sys.stderr.isatty() else ""


def numbers(text: str) -> list[float]:
    """Numbers between commas, such as 0,40,80.

    Raises:
        ConfigError: something else stands there.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{text!r} is no list of numbers: give them with commas between, such as 0,40,80.") from error


def folder_for(arguments: argparse.Namespace) -> Path:
    """The folder that `--into` names, made if need be."""
    folder = Path(arguments.into)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
