"""Recordings in arrays, LFADS's file, digits, and predictions read back."""

import gzip
import struct
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from neuralsde.datamodules.arrays import ArrayData
from neuralsde.datamodules.lorenz_file import LorenzFile
from neuralsde.datamodules.moving_digits import read_font
from neuralsde.evaluation.prediction import Coordinates, Prediction
from neuralsde.evaluation.score_file import evaluate
from tests.fuzz import archives, hdf5
from tests.fuzz.target import Target

TRIALS = {"behavior": ["hand_vel"], "condition": "direction", "heldout_every": 3}
CONTINUOUS = {"window_bins": 10, "blocks": 6, "behavior": ["hand_vel"], "angles": ["angle"], "heldout": 1}


def arrays_of(continuous: bool) -> dict[str, np.ndarray]:
    """A small recording."""
    rng = np.random.default_rng(0)
    if continuous:
        values = {"angle": rng.uniform(0, 6, 300), "hand_vel": rng.normal(size=(300, 2))}
        return {"spikes": rng.poisson(1.0, (300, 5)), **values, "bin_ms": np.array(20)}
    inside = {"hand_vel": rng.normal(size=(20, 8, 2)), "direction": rng.integers(0, 3, 20)}
    return {"spikes": rng.poisson(2.0, (20, 8, 6)), "length": rng.integers(4, 9, 20), **inside, "bin_ms": np.array(50)}


def write_npz(folder: Path, continuous: bool) -> list[Path]:
    np.savez(folder / "seed.npz", **arrays_of(continuous))
    return [folder / "seed.npz"]


def write_h5(path: Path, arrays: dict) -> list[Path]:
    """An HDF5 file of arrays by their paths, some of them packed."""
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            packing = {"compression": "gzip", "chunks": True} if np.size(values) > 200 else {}
            file.create_dataset(name, data=values, **packing)
    return [path]


def read_arrays(path: Path, settings: dict) -> None:
    data = ArrayData(path, **settings)
    data.setup()


def lorenz_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    hertz = np.exp(rng.normal(3.0, 0.5, (12, 8, 4)))
    counts = rng.poisson(hertz * 0.01).astype(np.float32)
    train = {"train_data": counts[:8], "train_truth": hertz[:8], "train_inds": np.arange(8)}
    return {**train, "valid_data": counts[8:], "valid_truth": hertz[8:], "valid_inds": np.arange(8, 12)}


def write_digits(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (12, 6, 6), np.uint8)
    np.savez(folder / "seed.npz", x_train=pictures, x_test=pictures[:6])
    content = b"\0\0\x08\x03" + struct.pack(">3i", *pictures.shape) + pictures.tobytes()
    (folder / "seed.idx").write_bytes(content)
    (folder / "seed.gz").write_bytes(gzip.compress(content))
    return [folder / "seed.npz", folder / "seed.idx", folder / "seed.gz"]


def prediction() -> Prediction:
    rng = np.random.default_rng(0)
    axes = Coordinates(np.arange(5.0)[None], 0.02, 4, 2, 0, np.arange(3), np.array([0, 1, -1]), ("a", "b"))
    rates = rng.random((3, 5, 4)).astype(np.float32)
    return Prediction(rates, rates[..., :2], rates, rates, {0.5: rates}, axes)


def write_prediction(folder: Path) -> list[Path]:
    prediction().save(folder / "seed.h5")
    return [folder / "seed.h5"]


def submission() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    held = {"heldin": 3, "heldout": 2}
    rates = {f"{s}_rates_{h}": rng.random((n, 5, k)) for s, n in (("train", 8), ("eval", 6)) for h, k in held.items()}
    return {f"maze/{name}": values for name, values in rates.items()}


def targets_file() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    counts = {f"eval_spikes_{h}": rng.poisson(1.0, (6, 5, k)) for h, k in (("heldin", 3), ("heldout", 2))}
    motion = {"train_behavior": rng.normal(size=(8, 5, 2)), "eval_behavior": rng.normal(size=(6, 5, 2))}
    return {f"maze/{name}": values for name, values in {**counts, **motion}.items()}


def read_scores(path: Path) -> None:
    """Both ways round: the file as submission, and as what it is scored against."""
    good = path.parent / "good_targets.h5"
    if not good.exists():
        write_h5(good, targets_file())
    evaluate(good, path)


def h5_seed(arrays) -> object:
    return lambda folder: write_h5(folder / "seed.h5", arrays())


TARGETS = [
    Target("arrays trials npz", ".npz", partial(write_npz, continuous=False), partial(read_arrays, settings=TRIALS),
           archives.NPZ_MUTATIONS, guided=True),
    Target("arrays continuous npz", ".npz", partial(write_npz, continuous=True), partial(read_arrays, settings=CONTINUOUS),
           archives.NPZ_MUTATIONS),
    Target("arrays trials hdf5", ".h5", h5_seed(partial(arrays_of, False)), partial(read_arrays, settings=TRIALS),
           hdf5.MUTATIONS),
    Target("arrays continuous hdf5", ".h5", h5_seed(partial(arrays_of, True)), partial(read_arrays, settings=CONTINUOUS),
           hdf5.MUTATIONS),
    Target("lorenz file", ".h5", h5_seed(lorenz_arrays), lambda path: LorenzFile(path, 8).setup(), hdf5.MUTATIONS),
    Target("digits", ".npz", write_digits, lambda path: read_font(path, 6), guided=True, share=0.5),
    Target("prediction", ".h5", write_prediction, Prediction.load, hdf5.MUTATIONS),
    Target("submission", ".h5", h5_seed(submission), read_scores, hdf5.MUTATIONS),
]  # fmt: skip
