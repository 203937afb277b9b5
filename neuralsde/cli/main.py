"""The `neuralsde` command."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from neuralsde import __version__
from neuralsde.cli import decode, download, dynamics, evaluate, predict, report, resume, sample, submit
from neuralsde.cli.console import execute, run_or_explain
from neuralsde.cli.search import search
from neuralsde.cli.train import train

COMMANDS: dict[str, Any] = {
    "resume": resume,
    "evaluate": evaluate,
    "predict": predict,
    "decode": decode,
    "dynamics": dynamics,
    "report": report,
    "sample": sample,
    "submit": submit,
    "download": download,
}
"""The module of each command but `train` and `search`, whose words are Hydra's."""

COMPOSED: dict[str, Callable[[], Any]] = {"train": train, "search": search}

EXAMPLES = """examples:
  neuralsde train model=langevinflow data=lorenz
  neuralsde train model=langevinflow data=nlb_mc_maze trainer.max_epochs=100
  neuralsde resume runs/lorenz/langevinflow/2026-01-31_12-00-00
  neuralsde search search=pbt model=langevinflow data=lorenz
  neuralsde evaluate runs/mine
  neuralsde decode runs/mine --target hand_vel
  neuralsde download nlb_mc_maze

`neuralsde COMMAND --help` shows those of a command.
"""


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser("neuralsde", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"neuralsde {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="|".join([*COMPOSED, *COMMANDS]))
    commands.add_parser("train", help="train a model (`neuralsde train --help` shows every option)", add_help=False)
    commands.add_parser("search", help="search for hyperparameters, with the options of `train`", add_help=False)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            epilog=f"examples:\n{module.EXAMPLES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on standard output")
    return top


def main() -> None:
    """Entry point: status 0, or 2 for a user's mistake."""
    if len(sys.argv) > 1 and sys.argv[1] in COMPOSED:
        name = sys.argv[1]
        sys.argv[:2] = [f"{sys.argv[0]} {name}"]
        COMPOSED[name]()
        return
    arguments = parser().parse_args()
    run_or_explain(lambda: execute(COMMANDS[arguments.command].run, arguments))
