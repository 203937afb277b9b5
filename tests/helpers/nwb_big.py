"""A file of the size and shape of Area2_Bump's training file, mostly holes: 1.8 GB by its length, little on disk."""

from pathlib import Path

import h5py
import numpy as np

SECONDS = 2050
WIDTHS = {"force": 6, "hand_pos": 2, "joint_ang": 7, "joint_vel": 7, "muscle_len": 39, "muscle_vel": 39}


def write_big_area2(path: Path, n_heldin=49, n_heldout=16, n_trials=826, rate_hz=12.0) -> Path:
    """Write the file: 2 million samples of seven behaviour series, of which only hand_vel holds numbers."""
    rng = np.random.default_rng(0)
    n = SECONDS * 1000
    with h5py.File(path, "w") as file:
        behavior = file.create_group("processing/behavior")
        for name, width in WIDTHS.items():
            unwritten(behavior, f"{name}/data", (n, width))
            unwritten(behavior, f"{name}/timestamps", (n,))
        velocity = behavior.create_group("hand_vel")
        velocity.attrs["comments"] = "columns=[x,y]"
        velocity["data"] = rng.standard_normal((n, 2))
        velocity["timestamps"] = np.arange(n) / 1000
        write_trials(file.create_group("intervals/trials"), rng, n_trials)
        write_units(file.create_group("units"), rng, n_heldin, n_heldout, rate_hz)
    return path


def unwritten(group: h5py.Group, name: str, shape: tuple[int, ...]) -> None:
    """A dataset whose place in the file is set aside but never written."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    parent = group.require_group(name.split("/")[0])
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(parent.id, name.split("/")[1].encode(), h5py.h5t.NATIVE_DOUBLE, space, dcpl=plist)


def write_trials(group: h5py.Group, rng: np.random.Generator, n: int) -> None:
    start = 1 + np.arange(n) * 2.45
    group["id"] = np.arange(n)
    group["start_time"], group["stop_time"] = start, start + 2.4
    group["move_onset_time"] = np.round(start + rng.uniform(0.5, 1.0, n), 3)
    group["ctr_hold_bump"] = rng.random(n) < 0.5
    group["cond_dir"] = rng.choice([0.0, 90.0, 180.0, 270.0], n)
    split = rng.permutation(np.repeat(["train", "val", "none"], [272, 92, n - 364]))
    group.create_dataset("split", data=split.astype(object), dtype=h5py.string_dtype())


def write_units(group: h5py.Group, rng: np.random.Generator, n_heldin: int, n_heldout: int, rate_hz: float) -> None:
    n = n_heldin + n_heldout
    counts = rng.poisson(rate_hz * SECONDS, n)
    group["id"] = 1001 + np.arange(n)
    group["heldout"] = rng.permutation(np.repeat([False, True], [n_heldin, n_heldout]))
    group["spike_times"] = np.concatenate([np.sort(rng.uniform(0, SECONDS, c)) for c in counts])
    group["spike_times_index"] = np.cumsum(counts)
    edges = np.linspace(0, SECONDS, 5)
    intervals = np.stack([edges[:-1], edges[1:] - 0.4], axis=1)
    group["obs_intervals"] = np.tile(intervals, (n, 1))
    group["obs_intervals_index"] = 4 * np.arange(1, n + 1)
