"""Decode behaviour or conditions of the evaluation trials, by a decoder fitted to the training trials, beside the same from
smoothed spikes."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from neuralsde.cli.console import Result, add_checkpoint, add_samples, finite, folder_for, numbers, opened, sampling

if TYPE_CHECKING:
    from neuralsde.analysis.decode import Decoding

HELP = "decode behaviour from rates or latents"
EXAMPLES = """  neuralsde decode runs/mine --target hand_vel
  neuralsde decode runs/mine --target hand_vel --lags-ms 0,40,80 --into plots
  neuralsde decode runs/mine --target hand_vel --kind angle --decoder gru
  neuralsde decode runs/mine --target condition --source latents --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument("--target", default="behavior", help="a series or channel of the recording, or condition")
    parser.add_argument("--source", default="rates", help="rates, latents or smoothed (default: rates)")
    parser.add_argument("--decoder", default="ridge", help="ridge or gru (default: ridge)")
    parser.add_argument("--kind", help="values, angle, trial or condition (default: what the target suggests)")
    parser.add_argument("--lags-ms", default="0", metavar="MS,MS,…", help="how much activity precedes behaviour (default: 0)")
    parser.add_argument("--folds", type=int, default=5, help="parts of the training trials left out in turn (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the folds, and of a GRU")
    add_samples(parser)
    parser.add_argument("--into", metavar="FOLDER", help="where decode.json and pictures go (default: nowhere)")


def run(arguments: argparse.Namespace) -> Result:
    """Print a table; the result holds the scores."""
    model = opened(arguments)
    found = model.decode(
        arguments.target,
        arguments.source,
        arguments.decoder,
        numbers(arguments.lags_ms),
        arguments.folds,
        arguments.kind,
        arguments.seed,
        **sampling(arguments),
    )
    print_scores(found, model.data.name)
    if arguments.into:
        write(arguments, found, model.data)
    return {"checkpoint": str(model.path), **found.summary}


def print_scores(found: "Decoding", recording: str) -> None:
    """A row for the model and, where it was asked for, one for smoothed spikes."""
    from rich.console import Console
    from rich.table import Table

    title = f"{recording}: {found.target.name} by {found.decoder}, {len(found.predicted)} evaluation trials"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in found.scores:
        table.add_column(name.replace("_", " "), justify="right")
    for row in (found, found.compared):
        if row is not None:
            table.add_row(row.source, *(f"{value:.4f}" for value in row.scores.values()))
    Console().print(table)


def write(arguments: argparse.Namespace, found: "Decoding", data: Any) -> None:
    """`decode.json` and the pictures that the target allows."""
    from neuralsde.evaluation.analysis_figures import decoding_figures
    from neuralsde.files import write_whole
    from neuralsde.workflow import save_figures

    folder = folder_for(arguments)
    write_whole(folder / "decode.json", json.dumps(finite(found.summary), indent=2) + "\n")
    save_figures(decoding_figures(found, data), folder)
    print(f"{folder}: decode.json and pictures")
