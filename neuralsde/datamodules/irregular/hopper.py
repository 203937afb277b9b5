"""Trajectories of the Hopper, simulated: `python -m neuralsde.datamodules.irregular.hopper --out FILE.npy`.

The recipe of Rubanova et al. 2019, whose first 100 trajectories are in the published file, up to drift between versions of
MuJoCo: hopper/stand of dm_control, no action, steps of 5 ms, random starts. Needs the extra `mujoco`.
"""

import argparse
import io
import os
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from neuralsde.datamodules.irregular.extras import extra_module
from neuralsde.datamodules.irregular.scaling import largest_or_one
from neuralsde.files import write_atomically

SIZE = 14
"""Seven positions and seven velocities."""


def hopper_trajectories(n: int, steps: int, seed: int) -> np.ndarray:
    """Positions and velocities, (trajectory, step, 14), as simulated, float64.

    Raises:
        ConfigError: dm_control is not installed.
    """
    os.environ.setdefault("MUJOCO_GL", "disabled")  # nothing is drawn, so no display is needed
    suite = extra_module("dm_control.suite", "mujoco", "Simulating the Hopper")
    physics = suite.load("hopper", "stand").physics
    # The recipe's stream of numbers, which newer generators do not have.
    rng = np.random.RandomState(seed)
    out = np.empty((n, steps, SIZE))
    for path in track(out, "simulating", total=n, console=Console(stderr=True), transient=True):
        with physics.reset_context():
            physics.data.qpos[:2] = rng.uniform(0, 0.5, size=2)
            physics.data.qpos[2:] = rng.uniform(-2, 2, size=physics.data.qpos[2:].shape)
            physics.data.qvel[:] = rng.uniform(-5, 5, size=physics.data.qvel.shape)
        for state in path:
            state[: SIZE // 2], state[SIZE // 2 :] = physics.data.qpos, physics.data.qvel
            physics.step()
    return out


def normalised(paths: np.ndarray) -> np.ndarray:
    """(x − min) / max of each channel over everything, float32, as the recipe has it."""
    rows = paths.reshape(-1, paths.shape[-1])
    return ((paths - rows.min(0)) / largest_or_one(rows.max(0))).astype(np.float32)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trajectories", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=123)
    given = parser.parse_args(arguments)
    image = io.BytesIO()
    np.save(image, normalised(hopper_trajectories(given.trajectories, given.steps, given.seed)))
    write_atomically(given.out, image.getvalue())


if __name__ == "__main__":
    main()
