"""Files of made-up recordings."""

import h5py
import numpy as np
import pytest

from neuralsde.datamodules.arrays import ArrayData

TRIALS, BINS, UNITS = 40, 12, 9
LONG = 1000
"""Bins of the continuous recording."""


def trial_arrays(rng):
    """40 trials of 5 to 12 bins; beyond its end a trial holds what no count may be."""
    length = rng.integers(5, BINS + 1, TRIALS)
    length[0] = BINS
    inside = np.arange(BINS) < length[:, None]
    spikes = np.where(inside[..., None], 1 + rng.poisson(2.0, (TRIALS, BINS, UNITS)), -1)
    return {
        "spikes": spikes.astype(np.int16),
        "length": length,
        "hand_vel": rng.normal(0, 5, (TRIALS, BINS, 2)),
        "direction": rng.integers(0, 3, TRIALS),
        "bin_ms": np.array(50),
    }


def continuous_arrays(rng):
    """1000 bins of 20 ms whose first unit counts the bins, so that a window tells where it was cut."""
    spikes = rng.poisson(1.0, (LONG, UNITS))
    spikes[:, 0] = np.arange(LONG)
    angle = np.cumsum(rng.normal(0, 0.3, LONG)) % (2 * np.pi)
    return {"spikes": spikes, "hand_vel": rng.normal(0, 5, (LONG, 3)), "angle": angle, "bin_ms": np.array(20)}


def save(path, arrays):
    """`arrays` that are not None, as .npz or HDF5."""
    kept = {name: value for name, value in arrays.items() if value is not None}
    if path.suffix == ".npz":
        np.savez(path, **kept)
        return path
    with h5py.File(path, "w") as file:
        for name, value in kept.items():
            file[name] = value
    return path


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def trials(rng, tmp_path):
    """Makes a datamodule of trials: replaced arrays in a dict (None leaves one out), settings by name."""
    content = trial_arrays(rng)

    def make(replaced=None, ending="npz", **settings):
        arrays = content | (replaced or {})
        return ArrayData(save(tmp_path / f"trials.{ending}", arrays), 8, **settings), arrays

    return make


@pytest.fixture
def continuous(rng, tmp_path):
    """The same of a continuous recording, in windows of 20 bins of 10 blocks."""
    content = continuous_arrays(rng)

    def make(replaced=None, ending="npz", **settings):
        arrays = content | (replaced or {})
        settings = {"window_bins": 20, "blocks": 10, **settings}
        return ArrayData(save(tmp_path / f"long.{ending}", arrays), 8, **settings), arrays

    return make
