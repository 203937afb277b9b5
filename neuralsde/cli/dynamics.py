"""Read the dynamics that a model has learned: fixed points, time constants, frequencies, parameters."""

import argparse
import json
from typing import TYPE_CHECKING

from neuralsde.cli.console import Result, add_checkpoint, add_samples, finite, folder_for, opened, sampling

if TYPE_CHECKING:
    from neuralsde.analysis.dynamics import Dynamics

HELP = "fixed points, flow field and learned parameters"
EXAMPLES = """  neuralsde dynamics runs/mine
  neuralsde dynamics runs/mine --into plots
  neuralsde dynamics runs/mine --at-s 0.2 --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument(
        "--at-s", type=float, metavar="S", help="time in the trial at which a changing flow is held, in seconds"
    )
    parser.add_argument("--seeds", type=int, default=200, help="visited states to look for fixed points from (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of their choice")
    add_samples(parser)
    parser.add_argument("--into", metavar="FOLDER", help="where dynamics.json and pictures go (default: nowhere)")


def run(arguments: argparse.Namespace) -> Result:
    """Print tables; the result holds all numbers."""
    model = opened(arguments)
    found = model.dynamics(arguments.at_s, arguments.seeds, arguments.seed, **sampling(arguments))
    print_points(found)
    print_learned(found)
    if arguments.into:
        write(arguments, found)
    return {"checkpoint": str(model.path), **found.summary}


def print_points(found: "Dynamics") -> None:
    """A row for each fixed or slow point, with its slowest and its fastest oscillating direction."""
    from rich.console import Console
    from rich.table import Table

    number = len(found.fixed_points)
    table = Table(title=f"{number} fixed or slow point{'s' * (number != 1)}", title_justify="left")
    for name in ("kind", "speed / typical", "distance / spread", "slowest time constant (s)", "frequencies (Hz)"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for point in found.fixed_points:
        heard = sorted({f"{f:.2f}" for f in point.frequencies_hz if f > 0}, key=float)
        slowest = f"{point.time_constants_s[0]:.3g}"
        table.add_row(point.kind, f"{point.share:.1e}", f"{point.distance:.2f}", slowest, " ".join(heard) or "–")
    Console().print(table)


def print_learned(found: "Dynamics") -> None:
    """A line for each learned parameter."""
    for name, one in found.learned.items():
        print(f"{name}: {' '.join(f'{value:.4g}' for value in one.values)} {one.unit}".rstrip())


def write(arguments: argparse.Namespace, found: "Dynamics") -> None:
    """`dynamics.json` and the pictures that the dynamics allow."""
    from neuralsde.evaluation.analysis_figures import dynamics_figures
    from neuralsde.files import write_whole
    from neuralsde.workflow import save_figures

    folder = folder_for(arguments)
    write_whole(folder / "dynamics.json", json.dumps(finite(found.summary), indent=2) + "\n")
    save_figures(dynamics_figures(found), folder)
    print(f"{folder}: dynamics.json and pictures")
