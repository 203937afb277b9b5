"""What has a latent SDE learned about how the state moves by itself, and about the noise that drives it?

    python train.py model=latent_sde model/noise=fractional model.noise.learn=true data=lorenz run_dir=runs/mine
    python examples/read_dynamics.py runs/mine --into dynamics

Prints the Hurst index (of .5 is Brownian motion; above it increments persist, below it they turn back), the other learned
parameters with their units, and the fixed points of the drift with their time constants and frequencies; draws the flow field.
"""

import argparse
from pathlib import Path

import neuralsde
from neuralsde.analysis.dynamics import Dynamics
from neuralsde.evaluation.analysis_figures import dynamics_figures


def describe(found: Dynamics) -> list[str]:
    """A line for each learned parameter and each fixed point."""
    lines = []
    for name, one in found.learned.items():
        values = " ".join(f"{value:.3f}" for value in one.values)
        lines.append(f"{name}: {values} {one.unit}".rstrip())
    for point in found.fixed_points:
        fastest = point.frequencies_hz.max()
        oscillates = f", oscillates at up to {fastest:.2f} Hz" if fastest > 0 else ""
        lines.append(f"{point.kind} point: slowest time constant {point.time_constants_s[0]:.3g} s{oscillates}")
    return lines


def main(checkpoint: str, at_s: float | None = None, into: str | None = None, **settings) -> Dynamics:
    """Print what was learned; write the flow field and the eigenvalues. `settings` as of `run.dynamics`."""
    found = neuralsde.load(checkpoint).dynamics(at_s, **settings)
    print("\n".join(describe(found)) or "The flow has no fixed point near the visited states.")
    if into is not None:
        Path(into).mkdir(parents=True, exist_ok=True)
        for name, figure in dynamics_figures(found).items():
            figure.savefig(Path(into) / f"{name}.png")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a run's folder, or a .ckpt file")
    parser.add_argument("--at-s", type=float, help="time in the trial at which a changing flow is held, in seconds")
    parser.add_argument("--into", help="folder for the pictures")
    arguments = parser.parse_args()
    main(arguments.checkpoint, arguments.at_s, arguments.into)
