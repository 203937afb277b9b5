"""Score a checkpoint beside the baselines. Of several checkpoints the rates are averaged (an ensemble)."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from neuralsde.cli.console import Result, add_checkpoints, opened_all, together
from neuralsde.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from neuralsde.evaluation.load import Run

HELP = "score a checkpoint, or an ensemble of them"
EXAMPLES = """  neuralsde evaluate runs/mine
  neuralsde evaluate runs/mine --phase test
  neuralsde evaluate runs/mine/checkpoints/last.ckpt --into scores_of_last
  neuralsde evaluate runs/seed0 runs/seed1 runs/seed2 --into runs/ensemble
  neuralsde evaluate runs/my_search --top 5 --into runs/five_best
  neuralsde evaluate runs/mine --json | jq .scores.co_bps
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoints(parser)
    text = "trials to score (default: those of the run, whose scores are kept: others go to scores_PHASE.json and plots_PHASE)"
    parser.add_argument("--phase", choices=("val", "test"), help=text)
    parser.add_argument("--into", metavar="FOLDER", help="where scores.json and plots go (default: the run's own folder)")


def run(arguments: argparse.Namespace) -> Result:
    """Write scores.json and plots, and a run's report anew; the result holds the scores."""
    from neuralsde.evaluation.report import write_report
    from neuralsde.workflow import evaluate

    refuse_no_folder(arguments.into, len(arguments.checkpoints))
    runs = opened_all(arguments)
    refuse_no_folder(arguments.into, len(runs))  # of which a search may have given several
    folder = destination(arguments.into, runs[0])
    model = together(runs)
    folder.mkdir(parents=True, exist_ok=True)
    phase = other_phase(folder, model.config)
    scores = evaluate(model, model.datamodule, folder, [], model.config, phase)
    if (folder / "config.yaml").is_file():  # a run's own folder, whose report would tell the scores of before
        write_report(folder)
    return {
        "checkpoints": [str(one.path) for one in runs],
        "folder": str(folder),
        "file": f"scores_{phase}.json" if phase else "scores.json",
        "scores": scores,
    }


def other_phase(folder: Path, config: "DictConfig") -> str:
    """The phase that is scored, where it is not that of the run in the folder; empty where it is, or where there is no run."""
    from neuralsde.training.files import read_config

    if not (folder / "config.yaml").is_file():
        return ""
    own, now = (one.data.get("phase") for one in (read_config(folder / "config.yaml"), config))
    return "" if own == now else str(now)


def refuse_no_folder(into: str | None, number: int) -> None:
    """Check, before anything is read, that there is a place for the scores.

    Raises:
        CheckpointError: several checkpoints have no folder in common, and nobody named one.
        ConfigError: what was named is, or lies in, no folder, or one that cannot be written.
    """
    if into is None:
        if number > 1:
            raise CheckpointError(
                f"{number} checkpoints have no folder in common: say with --into where scores.json and plots go."
            )
        return
    if number > 1 and (Path(into) / "checkpoints").is_dir():
        raise ConfigError(f"--into {into} is a run's folder, whose own scores would be lost: name another folder.")
    there = next(path for path in (Path(into), *Path(into).absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(f"--into is {into}, but {there} is no folder that can be written: give another.")


def destination(into: str | None, run: "Run") -> Path:
    """Where the scores go.

    Raises:
        CheckpointError: nobody said, and the checkpoint lies in no run's folder.
    """
    if into is not None:
        return Path(into)
    if run.path.parent.name != "checkpoints":
        raise CheckpointError(f"{run.path} lies in no run's folder: say with --into where scores.json and plots go.")
    return run.path.parent.parent
