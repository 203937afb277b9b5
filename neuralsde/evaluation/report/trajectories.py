"""Latent paths in three principal components, small enough for a page that turns them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from neuralsde.files import write_whole
from neuralsde.plots.style import short_names
from neuralsde.plots.trajectories import MOST_TRIALS, condition_groups, principal_components
from neuralsde.training.files import read_json
from neuralsde.training.shape import Finite

FILE = "trajectories.json"
SHAPE = {
    "axes": [str],
    "of": int,
    "times": [Finite],
    "conditions": [{"name": str, "trials": [[[Finite, Finite, Finite]]]}],
}
"""What it has to look like, for those who read it."""
MOST_POINTS = 120
"""Points of a path; of longer ones every second, third, … is kept."""
MOST_ALONE = 24
"""Single trials where there are no conditions."""


def write_trajectories(
    folder: Path,
    latents: Float[np.ndarray, "trial bin latent"],
    condition: Int[np.ndarray, " trial"] | None,
    names: tuple[str, ...],
    times: Float[np.ndarray, " bin"],
) -> None:
    """Write the paths to the `plots` of a run, where `write_report` finds them.

    Args:
        folder: the run's folder.
        latents: mean latent paths, any unit.
        condition: index of each trial's condition, -1 for none.
        names: of the conditions.
        times: of the bins, in seconds.
    """
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    write_whole(folder / "plots" / FILE, json.dumps(paths(latents, condition, names, times)) + "\n")


def paths(
    latents: Float[np.ndarray, "trial bin latent"],
    condition: Int[np.ndarray, " trial"] | None,
    names: tuple[str, ...],
    times: Float[np.ndarray, " bin"],
) -> dict[str, Any]:
    """Axes, times and, of each condition, its mean path and some single trials; nearly all of it in the unit ball."""
    path, axes = principal_components(latents)
    kept = np.unique(np.linspace(0, path.shape[1] - 1, min(MOST_POINTS, path.shape[1])).round().astype(int))
    path = path[:, kept]
    middle = np.median(path, axis=(0, 1))
    radius = np.quantile(np.linalg.norm(path - middle, axis=-1), 0.97) or 1.0  # stray trials do not set the scale
    path = (path - middle) / radius
    labelled = None if condition is None or not (condition >= 0).any() else condition
    groups = condition_groups(len(path), labelled)
    short = short_names(names) if names else []
    return {
        "axes": axes,
        "of": 0 if labelled is None else len(np.unique(labelled[labelled >= 0])),
        "times": [round(float(t), 4) for t in times[kept]],
        "conditions": [
            {
                "name": "" if label < 0 else short[label] if label < len(short) else f"condition {label}",
                "mean": None if labelled is None else numbers(path[trials].mean(0)),
                "trials": [numbers(trial) for trial in path[trials[: MOST_ALONE if labelled is None else MOST_TRIALS]]],
            }
            for label, trials in groups.items()
        ],
    }


def numbers(path: Float[np.ndarray, "bin 3"]) -> list[list[float]]:
    """A path to three decimals, a thousandth of the picture."""
    return np.round(path, 3).tolist()


def read_trajectories(folder: Path) -> dict[str, Any] | None:
    """The paths that `write_trajectories` wrote, or None."""
    return read_json(folder / "plots" / FILE, SHAPE) or None
