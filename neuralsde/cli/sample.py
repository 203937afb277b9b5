"""Draw trials from a model's prior into an HDF5 file: `observations`, `means`, `latents` and `times` (in seconds)."""

import argparse
from pathlib import Path

from neuralsde.cli.console import Result, add_checkpoint, opened

HELP = "draw trials from the prior"
EXAMPLES = """  neuralsde sample runs/mine trials.h5 --n 100
  neuralsde sample runs/mine trials.h5 --n 100 --bins 500 --seed 1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument("file", metavar="FILE", help="the .h5 file to write")
    parser.add_argument("--n", type=int, default=100, help="trials (default: 100)")
    parser.add_argument("--bins", type=int, help="bins of each (default: as many as a trial of the data)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")


def run(arguments: argparse.Namespace) -> Result:
    """Write the file; the result says what is in it."""
    model = opened(arguments)
    from neuralsde.evaluation.sample_file import write_samples

    path = Path(arguments.file)
    shape = write_samples(path, model, arguments.n, arguments.bins, arguments.seed)
    n, bins, units = shape
    print(f"{path}: {n} trials × {bins} bins × {units} units from the prior.")
    return {"file": str(path), "trials": n, "bins": bins, "units": units}
