"""Score a checkpoint beside the baselines. Of several checkpoints the rates are averaged (an ensemble)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from neuralsde.cli.console import Result, add_checkpoints, opened_all, together
from neuralsde.errors import CheckpointError

if TYPE_CHECKING:
    from neuralsde.evaluation.load import Run

HELP = "score a checkpoint, or an ensemble of them"
EXAMPLES = """  neuralsde evaluate runs/mine
  neuralsde evaluate runs/mine/checkpoints/last.ckpt --into scores_of_last
  neuralsde evaluate runs/seed0 runs/seed1 runs/seed2 --into runs/ensemble
  neuralsde evaluate runs/my_search --top 5 --into runs/five_best
  neuralsde evaluate runs/mine --json | jq .scores.co_bps
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoints(parser)
    parser.add_argument("--phase", choices=("val", "test"), help="trials to score (default: those of the run)")
    parser.add_argument("--into", metavar="FOLDER", help="where scores.json and plots go (default: the run's own folder)")


def run(arguments: argparse.Namespace) -> Result:
    """Write scores.json and plots, and a run's report anew; the result holds the scores."""
    from neuralsde.evaluation.report import write_report
    from neuralsde.workflow import evaluate

    runs = opened_all(arguments)
    folder = destination(arguments.into, runs)
    model = together(runs)
    folder.mkdir(parents=True, exist_ok=True)
    scores = evaluate(model, model.datamodule, folder, [], model.config)
    if (folder / "config.yaml").is_file():  # a run's own folder, whose report would tell the scores of before
        write_report(folder)
    return {"checkpoints": [str(one.path) for one in runs], "folder": str(folder), "scores": scores}


def destination(into: str | None, runs: "list[Run]") -> Path:
    """Where the scores go.

    Raises:
        CheckpointError: nobody said, and the checkpoint lies in no run's folder.
    """
    if into is not None:
        return Path(into)
    if len(runs) > 1:
        raise CheckpointError(
            f"{len(runs)} checkpoints have no folder in common: say with --into where scores.json and plots go."
        )
    if runs[0].path.parent.name != "checkpoints":
        raise CheckpointError(f"{runs[0].path} lies in no run's folder: say with --into where scores.json and plots go.")
    return runs[0].path.parent.parent
