"""Submissions in the format of the Neural Latents Benchmark (EvalAI challenge 1256), and targets to score them against.

Source: Pei et al. 2021 (arXiv 2109.04463) and nlb_tools' `make_tensors.py`: one HDF5 group per recording, float32,
gzip; rates are expected counts **per bin**, split by held-in and held-out units and by observed and forward bins.
"""

from pathlib import Path

import h5py
import numpy as np

from neuralsde.datamodules.trials import TrialData, Trials
from neuralsde.errors import DataError
from neuralsde.evaluation.hdf5_file import edit_file
from neuralsde.evaluation.scores import valid_rates

VARIABLE = h5py.vlen_dtype(np.int32)


def write_submission(path: str | Path, data: TrialData, rates_train: np.ndarray | None, rates_eval: np.ndarray) -> None:
    """Write the group `data.name` of a submission file; other groups that the file holds already are kept.

    The file is written whole or not at all: a crash or a full disk leaves what was there.

    Args:
        path: the submission file, such as `submission.h5`.
        data: the recording that was predicted.
        rates_train: rates of `data.train`, counts per bin, (trial, observed + forward bin, held-in + held-out unit);
            the benchmark needs them for the velocity decoder alone, and does without where they are None.
        rates_eval: rates of `data.eval`.

    Raises:
        NeuralSDEError: rates of the wrong shape, or NaN, infinite or negative.
        DataError: `path` cannot be written, or holds something else.
    """
    group = split_rates(data, data.eval, rates_eval, "eval", with_forward=True)
    if rates_train is not None:
        group |= split_rates(data, data.train, rates_train, "train", with_forward=False)
    write_group(Path(path), data.name, group)


def write_targets(path: str | Path, data: TrialData) -> None:
    """Write the group `data.name` of a targets file, against which a submission is scored locally.

    Args:
        path: the targets file.
        data: a recording whose evaluation trials have their held-out counts, as in the `val` phase.

    Raises:
        DataError: the held-out counts are withheld, as in a test file; or `path` cannot be written.
    """
    if data.eval.heldout is None:
        raise DataError(f"The held-out counts of {data.name} are withheld, so there are no targets; use phase=val.")
    group = {
        "eval_spikes_heldout": data.eval.heldout,
        "eval_spikes_heldin_forward": data.eval.heldin_forward,
        "eval_spikes_heldout_forward": data.eval.heldout_forward,
    }
    for split, trials in (("train", data.train), ("eval", data.eval)):
        group[f"{split}_behavior"] = trials.behavior
        group[f"{split}_decode_mask"] = trials.decode_mask
        group[f"{split}_jitter"] = trials.jitter
        if data.psth is not None:
            group[f"{split}_cond_idx"] = trials_by_condition(trials, len(data.psth))
    group["psth"] = data.psth
    write_group(Path(path), data.name, {name: values for name, values in group.items() if values is not None})


def split_rates(data: TrialData, trials: Trials, rates: np.ndarray, split: str, with_forward: bool) -> dict[str, np.ndarray]:
    """Data sets of one split, by name."""
    rates = valid_rates(data, trials, rates, f"{split} rates").astype(np.float32)
    bins, units = data.spec.observed_bins, data.spec.observed_dim
    parts = {f"{split}_rates_heldin": rates[:, :bins, :units], f"{split}_rates_heldout": rates[:, :bins, units:]}
    if with_forward and data.spec.forward_bins:
        parts[f"{split}_rates_heldin_forward"] = rates[:, bins:, :units]
        parts[f"{split}_rates_heldout_forward"] = rates[:, bins:, units:]
    return parts


def trials_by_condition(trials: Trials, n_conditions: int) -> np.ndarray:
    """Positions of the trials of each condition, as an array of integer arrays."""
    lists = np.empty(n_conditions, dtype=object)
    for index in range(n_conditions):
        lists[index] = np.flatnonzero(trials.condition == index).astype(np.int32)
    return lists


def write_group(path: Path, name: str, group: dict[str, np.ndarray]) -> None:
    """Put a group into the file at `path`, in place of one of that name."""

    def fill(file: h5py.File) -> None:
        if name in file:
            del file[name]
        for key, values in group.items():
            put(file.require_group(name), key, values)

    edit_file(path, fill)


def put(group: h5py.Group, key: str, values: np.ndarray) -> None:
    """Store floats as float32 and integers as int32, compressed; ragged lists as they are."""
    if values.dtype == object:
        group.create_dataset(key, data=values, dtype=VARIABLE)
        return
    stored = {"f": np.float32, "i": np.int32}.get(values.dtype.kind, values.dtype)
    group.create_dataset(key, data=values.astype(stored), compression="gzip")
