"""The command line: `neuralsde train|resume|evaluate|submit|download …`."""

import argparse
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import hydra
from omegaconf import DictConfig

from neuralsde import __version__
from neuralsde.errors import CheckpointError, NeuralSDEError

CONFIGS = str(Path(__file__).parent / "configs")

EXAMPLES = """examples:
  neuralsde train model=langevinflow data=lorenz
  neuralsde train model=langevinflow data=nlb_mc_maze trainer.max_epochs=100
  neuralsde resume runs/lorenz/langevinflow/2026-01-31_12-00-00
  neuralsde download nlb_mc_maze
  neuralsde evaluate runs/lorenz/langevinflow/2026-01-31_12-00-00
  neuralsde submit runs/nlb_mc_maze/langevinflow/2026-01-31_12-00-00 submission.h5
"""


@hydra.main(version_base="1.3", config_path=CONFIGS, config_name="train")
def train(config: DictConfig) -> float | None:
    """Train what the command line composes from `configs/`; returns the main score, for sweeps."""
    return run_or_explain(lambda: _train(config))


def _train(config: DictConfig) -> float:
    from neuralsde import workflow  # torch and Lightning load only once the command line has been understood

    quiet_chatter()
    return workflow.train(config)


def quiet_chatter() -> None:
    """Silence messages that ask nothing of the user; after Lightning's import, which sets its own level."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")  # Lightning 2.6 asks pytrees the old way
    # The data are in memory already, so worker processes would only copy them.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")


def run_or_explain(command: Callable[[], float | None]) -> float | None:
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


def resume(arguments: argparse.Namespace) -> None:
    """Go on with a run that was stopped, with the settings that it was started with."""
    from omegaconf import OmegaConf

    from neuralsde import workflow

    quiet_chatter()
    path = Path(arguments.run_dir) / "config.yaml"
    if not path.is_file():
        raise CheckpointError(f"There is no {path}: give the folder of a run.")
    config = OmegaConf.load(path)
    OmegaConf.update(config, "ckpt", "last")
    OmegaConf.update(config, "run_dir", arguments.run_dir)
    if arguments.steps:
        OmegaConf.update(config, "training.steps", arguments.steps)
    workflow.train(DictConfig(config))


def evaluate(arguments: argparse.Namespace) -> None:
    """Score a checkpoint beside the baselines."""
    from neuralsde.evaluation.load import load
    from neuralsde.workflow import evaluate as evaluate_run

    quiet_chatter()
    run = load(arguments.checkpoint, data=data_settings(arguments))
    if arguments.into is None and run.path.parent.name != "checkpoints":
        raise CheckpointError(f"{run.path} lies in no run's folder: say with --into where scores.json and plots go.")
    folder = Path(arguments.into or run.path.parent.parent)
    folder.mkdir(parents=True, exist_ok=True)
    evaluate_run(run, run.datamodule, folder, [], run.config)


def submit(arguments: argparse.Namespace) -> None:
    """Write an EvalAI submission for the test trials."""
    from neuralsde.evaluation.load import load
    from neuralsde.evaluation.submission import write_submission

    quiet_chatter()
    run = load(arguments.checkpoint, data=data_settings(arguments))
    data = run.datamodule.data
    rates = [run.predict(trials, label=name).rates for name, trials in (("train", data.train), ("eval", data.eval))]
    write_submission(Path(arguments.file), data, *rates)
    print(f"{arguments.file}: group {data.name}, {len(data.train)} training and {len(data.eval)} {arguments.phase} trials.")


def download(arguments: argparse.Namespace) -> None:
    """Fetch a benchmark recording from the DANDI archive."""
    from neuralsde.datamodules.nwb.download import download as fetch

    fetch(arguments.name, Path(arguments.into or f"data/{arguments.name}"))


def data_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Settings of the data that the command line replaces."""
    given = {"path": arguments.data_path, "phase": arguments.phase}
    return {key: value for key, value in given.items() if value is not None}


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser("neuralsde", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"neuralsde {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="train|resume|evaluate|submit|download")
    commands.add_parser("train", help="train a model (`neuralsde train --help` shows every option)", add_help=False)
    command = commands.add_parser("resume", help="go on with a run that was stopped", description=resume.__doc__)
    command.add_argument("run_dir", help="the run's folder")
    command.add_argument("--steps", type=int, help="optimiser steps in all, where trainer.max_epochs was not given")
    command.set_defaults(run=resume)
    for name, run, text in (
        ("evaluate", evaluate, "score a checkpoint"),
        ("submit", submit, "write a submission file"),
    ):
        command = commands.add_parser(name, help=text, description=run.__doc__)
        command.add_argument("checkpoint", help="a run's folder, or a .ckpt file")
        command.add_argument("--data-path", help="where the recording lies now, if it has moved")
        command.set_defaults(run=run)
        if name == "evaluate":
            command.add_argument("--into", help="folder for scores.json and plots (default: the run's own)")
            command.add_argument("--phase", choices=("val", "test"), help="trials to score (default: those of the run)")
        else:
            command.add_argument("file", help="the .h5 file to write")
            command.add_argument("--phase", default="test", choices=("val", "test"), help="trials to predict (default: test)")
    command = commands.add_parser("download", help="fetch a benchmark recording", description=download.__doc__)
    command.add_argument("name", help="such as nlb_mc_maze")
    command.add_argument("--into", help="folder to put it in (default: data/NAME)")
    command.set_defaults(run=download)
    return top


def main() -> None:
    """Entry point of the `neuralsde` command."""
    if sys.argv[1:2] == ["train"]:
        sys.argv[:2] = [f"{sys.argv[0]} train"]
        train()
        return
    arguments = parser().parse_args()
    run_or_explain(lambda: arguments.run(arguments))
