"""Fetch a benchmark recording from the DANDI archive."""

import argparse
from pathlib import Path

from neuralsde.cli.console import Result

HELP = "fetch a benchmark recording"
EXAMPLES = """  neuralsde download nlb_mc_maze
  neuralsde download nlb_mc_rtt --into recordings/rtt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="such as nlb_mc_maze")
    parser.add_argument("--into", metavar="FOLDER", help="folder to put it in (default: data/NAME)")


def run(arguments: argparse.Namespace) -> Result:
    """Fetch the files; the result says where they are."""
    from neuralsde.datamodules.nwb.download import download

    folder = Path(arguments.into or f"data/{arguments.name}")
    download(arguments.name, folder)
    return {"name": arguments.name, "folder": str(folder)}
