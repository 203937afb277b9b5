"""Simulated spikes with known rates, from an HDF5 file in the layout of LFADS (`lfads_lorenz.h5`)."""

from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import h5py
import numpy as np

from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.lorenz import above_zero, at_least, split_trials
from neuralsde.datamodules.nwb.hdf5 import dataset_in, names_in, open_hdf5, read
from neuralsde.datamodules.trials import DataSpec, TrialData
from neuralsde.errors import ConfigError, DataError

TOLERANCE = 0.05
"""Relative error that is believed of a unit inferred from the number of spikes."""


@dataclass(frozen=True)
class RawSplit:
    """What the file holds of one split.

    Args:
        counts: (trial, bin, neuron).
        truth: true rates in the file's unit, same shape, where known.
        states: states of the system behind them, (trial, bin, state), where known.
        number: trial numbers, (trial,), where known.
    """

    counts: np.ndarray
    truth: np.ndarray | None
    states: np.ndarray | None
    number: np.ndarray | None


class LorenzFile(TrialDataModule):
    """Counts `train_data`, `valid_data` (trial, bin, neuron) with true rates `train_truth`, `valid_truth` where known.

    The true rates are in Hz or in counts per bin, which the number of spikes tells apart; where the file has a
    `conversion_factor` they are divided by it first. Trials of one initial condition have consecutive numbers
    `train_inds`, `valid_inds`; how many of them there are is `n_trials_per_init_cond` in the file, or
    `trials_per_condition` here. The states of the simulated system are `train_lowd`, `valid_lowd`, where known.

    Args:
        path: the file.
        batch_size: trials per training batch.
        bin_width_s: width of a bin, in seconds; None infers it, to whole milliseconds, from true rates in Hz.
        heldout_fraction: share of the neurons, the last ones, whose counts the model never observes.
        forward_bins: last bins of each trial, to be forecast.
        trials_per_condition: trials that repeat an initial condition; None takes what the file says.
        seed: seed of the order of the trials.
        eval_batch_size: trials per batch when predicting.

    Raises:
        ConfigError: `heldout_fraction` is not in [0, 1), or another setting is impossible.
    """

    def __init__(
        self,
        path: str | Path,
        batch_size: int,
        bin_width_s: float | None = None,
        heldout_fraction: float = 0.2,
        forward_bins: int = 0,
        trials_per_condition: int | None = None,
        seed: int = 0,
        eval_batch_size: int = 256,
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        at_least("forward_bins", forward_bins, 0)
        if bin_width_s is not None:
            above_zero("bin_width_s", bin_width_s)
        if trials_per_condition is not None:
            at_least("trials_per_condition", trials_per_condition, 1)
        if not isinstance(heldout_fraction, Real) or not 0 <= heldout_fraction < 1:
            raise ConfigError(f"data.heldout_fraction is {heldout_fraction}; give a share from 0 to below 1.")
        self.path, self.bin_width_s = Path(path), bin_width_s
        self.heldout_fraction, self.forward_bins = heldout_fraction, forward_bins
        self.trials_per_condition = trials_per_condition

    def files(self) -> list[Path]:
        return [self.path]

    def read(self) -> TrialData:
        """Read the file.

        Raises:
            DataError: it is missing, is not HDF5, or lacks a data set; or its bin width is not to be known.
        """
        splits, per_condition = read_file(self.path)
        per_condition = self.trials_per_condition or per_condition
        bins, neurons = splits[0].counts.shape[1:]
        if self.forward_bins >= bins:
            raise ConfigError(f"data.forward_bins is {self.forward_bins}, but the trials of {self.path} have {bins} bins.")
        scale, inferred = rate_unit(splits[0])
        bin_width_s = self.bin_width_s or inferred
        if bin_width_s is None:
            raise DataError(f"{self.path} does not tell how wide its bins are; give data.bin_width_s=… in seconds.")
        observed = bins - self.forward_bins, neurons - round(self.heldout_fraction * neurons)
        train, valid = (
            split_trials(
                s.counts,
                None if s.truth is None else s.truth * scale,
                s.number // per_condition if per_condition and s.number is not None else None,
                s.number,
                *observed,
                s.states,
            )
            for s in splits
        )  # fmt: skip
        conditions = [int(t.condition.max()) + 1 for t in (train, valid) if t.condition is not None]
        n_conditions = max(conditions, default=0)
        return TrialData(
            name=self.path.stem,
            spec=DataSpec(observed[1], neurons, observed[0], self.forward_bins, bin_width_s, n_conditions=n_conditions),
            train=train,
            eval=valid,
            condition_names=tuple(f"start {i}" for i in range(n_conditions)),
            source=self.path.name,
        )


def read_file(path: Path) -> tuple[tuple[RawSplit, RawSplit], int | None]:
    """Both splits, and the number of trials per initial condition where the file says it."""
    if not path.exists():
        raise DataError(f"There is no file {path}; give data.path=FILE.h5 (see data/lorenz/README.md).")
    with open_hdf5(path, "HDF5 file", "it is damaged or another kind of file") as file:
        factor = scalar(file, "conversion_factor") or 1.0  # some files say 0 for none
        train, valid = (read_split(file, name, factor) for name in ("train", "valid"))
        per_condition = scalar(file, "n_trials_per_init_cond")
    if train.counts.shape[1:] != valid.counts.shape[1:]:
        raise DataError(
            f"{path}: train_data {train.counts.shape} and valid_data {valid.counts.shape} differ in bins or neurons."
        )
    if train.states is not None and valid.states is not None and train.states.shape[2] != valid.states.shape[2]:
        raise DataError(f"{path}: train_lowd {train.states.shape} and valid_lowd {valid.states.shape} differ in states.")
    return (train, valid), None if per_condition is None else int(per_condition)


def read_split(file: h5py.File, name: str, factor: float) -> RawSplit:
    """The data sets whose names begin with `name`; true rates divided by `factor`."""
    counts = array(file, f"{name}_data")
    if counts is None or counts.ndim != 3 or not counts.size:
        found = f"has shape {counts.shape}" if counts is not None else f"is missing among {', '.join(sorted(names_in(file)))}"
        raise DataError(f"{file.filename}: `{name}_data` {found}; counts (trial, bin, neuron) are needed.")
    if not (counts >= 0).all() or (counts % 1).any():
        raise DataError(f"{file.filename}: `{name}_data` are not spike counts: some are negative, fractions or NaN.")
    truth, states, number = (array(file, f"{name}_{what}") for what in ("truth", "lowd", "inds"))
    if truth is not None and truth.shape != counts.shape:
        raise DataError(f"{file.filename}: `{name}_truth` has shape {truth.shape}, but `{name}_data` {counts.shape}.")
    if states is not None and (states.ndim != 3 or states.shape[:2] != counts.shape[:2]):
        raise DataError(f"{file.filename}: `{name}_lowd` has shape {states.shape}, but `{name}_data` {counts.shape}.")
    if states is not None and not np.isfinite(states).all():
        raise DataError(f"{file.filename}: `{name}_lowd` are not all finite; leave them out of the file if they are not known.")
    return RawSplit(
        counts,
        None if truth is None else truth / factor,
        states,
        None if number is None or number.size != len(counts) else number.reshape(-1).astype(np.int64),
    )


def array(file: h5py.File, name: str) -> np.ndarray | None:
    """The numbers in the data set `name`, or None where there is none.

    Raises:
        DataError: it holds something else.
    """
    found = dataset_in(file, name)
    if found is None:
        return None
    if found.dtype.kind not in "buif":
        raise DataError(f"{file.filename}: `{name}` holds {found.dtype}; numbers are needed.")
    return read(found)


def scalar(file: h5py.File, name: str) -> float | None:
    """The one number in the data set `name`, or None where there is none.

    Raises:
        DataError: it holds several, none, or one that is not finite.
    """
    found = array(file, name)
    if found is None:
        return None
    if found.size != 1 or not np.isfinite(found).all():
        raise DataError(f"{file.filename}: `{name}` holds {found.size} values; one finite number is needed.")
    return float(found.item())


def rate_unit(split: RawSplit) -> tuple[float, float | None]:
    """Counts per bin for a true rate of 1, and the bin width in seconds where that tells it.

    Rates in counts per bin have the mean of the counts; rates in Hz are 1/width times as large.
    """
    if split.truth is None:
        return 1.0, None
    counts, rates = (float(part.mean(dtype=np.float64)) for part in (split.counts, split.truth))
    if not counts > 0 or not 0 < rates < np.inf:
        raise DataError(
            f"Counts average {counts:.3g} per bin and the true rates {rates:.3g}; both have to be finite and above 0."
        )
    ratio = counts / rates
    if abs(ratio - 1) < TOLERANCE:
        return 1.0, None
    width = max(round(ratio, 3), 0.001)
    if abs(ratio / width - 1) < TOLERANCE:
        return width, width
    raise DataError(
        f"The true rates average {1 / ratio:.3g} times the counts per bin: neither counts per bin, nor Hz in whole-"
        "millisecond bins. Check the file's conversion_factor."
    )
