"""The Lightning datamodule of every recording of trials; a data source supplies one method, `read`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from neuralsde.datamodules.loader import EpochNumbers, EpochSampler, TrialLoader
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import ConfigError
from neuralsde.shares import Share


@dataclass  # not frozen: Lightning moves its tensors to the device one by one
class TrialBatch:
    """A batch on its way through the model. Bins are observed ones, then forward ones.

    Args:
        values: counts (or other values) of the held-in units in the observed bins, (batch, observed bin, held-in unit); 0
            where not recorded.
        seen: which entries of `values` were recorded, same shape, bool.
        times: time of each bin, in seconds, (batch, bin); one row where all trials share them.
        targets: values of all units in all bins, (batch, bin, unit); 0 where unknown.
        known: which entries of `targets` are known, same shape, bool.
        index: position of each trial in its split, (batch,).
        share: which trials of a batch these are, where several processes divide it; None where they are all of it.
    """

    values: Tensor
    seen: Tensor
    times: Tensor
    targets: Tensor
    known: Tensor
    index: Tensor
    share: Share | None = None

    @property
    def whole(self) -> int:
        """Trials of the batch, those of other processes included."""
        return len(self.values) if self.share is None else self.share.whole


class TrialDataset(Dataset):
    """Trials as tensors; whole batches are gathered at once."""

    def __init__(self, trials: Trials, spec: DataSpec):
        self.values, self.seen = filled(trials.heldin.astype(np.float32))
        self.targets, self.known = filled(stack_targets(trials, spec))
        regular = np.arange(spec.total_bins)[None] * spec.bin_width_s
        self.times = torch.from_numpy((regular if trials.times is None else trials.times).astype(np.float32))

    def __len__(self) -> int:
        return len(self.values)

    def __getitems__(self, indices: list[int]) -> TrialBatch:
        index = torch.tensor(indices)
        times = self.times if len(self.times) == 1 else self.times[index]
        return TrialBatch(self.values[index], self.seen[index], times, self.targets[index], self.known[index], index)

    def as_batch(self, index: Tensor) -> TrialBatch:
        """All of them, which are the trials `index` of their split."""
        return TrialBatch(self.values, self.seen, self.times, self.targets, self.known, index)


class FreshTrials(Dataset):
    """Trials that are made when they are asked for by their numbers, so that no epoch repeats another's.

    Args:
        make: the trials of given numbers; the same ones whenever it is asked.
        spec: sizes of the data.
        n: trials per epoch.
    """

    def __init__(self, make: Callable[[Sequence[int]], Trials], spec: DataSpec, n: int):
        self.make, self.spec, self.n = make, spec, n

    def __len__(self) -> int:
        return self.n

    def __getitems__(self, numbers: list[int]) -> TrialBatch:
        return TrialDataset(self.make(numbers), self.spec).as_batch(torch.tensor(numbers))


def filled(values: np.ndarray) -> tuple[Tensor, Tensor]:
    """The same memory with 0 in place of NaN, and where there was none."""
    tensor = torch.from_numpy(values)
    known = tensor == tensor  # NaN alone differs from itself; faster than asking for it and negating
    return tensor.nan_to_num_(nan=0.0), known


def stack_targets(trials: Trials, spec: DataSpec) -> np.ndarray:
    """All units in all bins, (trial, observed + forward bin, held-in + held-out unit), NaN where not known.

    Where trials say themselves what is to be predicted, that.
    """
    if trials.targets is not None:
        return trials.targets.copy()
    targets = np.full((len(trials), spec.observed_bins + spec.forward_bins, spec.target_dim), np.nan, np.float32)
    observed, forward = slice(None, spec.observed_bins), slice(spec.observed_bins, None)
    heldin, heldout = slice(None, spec.observed_dim), slice(spec.observed_dim, None)
    for counts, bins, units in (
        (trials.heldin, observed, heldin),
        (trials.heldout, observed, heldout),
        (trials.heldin_forward, forward, heldin),
        (trials.heldout_forward, forward, heldout),
    ):
        if counts is not None:
            targets[:, bins, units] = counts
    return targets


class DividedTrials(Dataset):
    """One process's share of each batch of `trials`.

    Order and sizes of the batches are those of one process; the last, shorter one is divided too. Where a batch has fewer
    trials than there are processes, those that go without compute with its first trial, of which nothing is known.

    Args:
        trials: all of them.
        rank: number of the process.
        processes: how many there are.
    """

    def __init__(self, trials: Any, rank: int, processes: int):
        self.trials, self.rank, self.processes = trials, rank, processes

    def __len__(self) -> int:
        return len(self.trials)

    def __getitems__(self, indices: list[int]) -> TrialBatch:
        share = Share.of(len(indices), self.rank, self.processes)
        batch = self.trials.__getitems__(indices[share.first : share.first + share.held])
        known = batch.known if share.rows else torch.zeros_like(batch.known)
        return replace(batch, known=known, share=share)


def as_batch(batch: Any) -> Any:
    """Collate nothing: the dataset already gathered the batch."""
    return batch


class TrialDataModule(L.LightningDataModule, ABC):
    """Batches of a recording; a subclass says how the recording is read.

    Before anything is read, `kind` says what its entries are, as in `DataSpec`, `phase` which trials are scored, and
    `calibrate` whether intervals are calibrated on validation trials.

    Args:
        batch_size: trials per training batch.
        seed: seed of the order of the trials.
        eval_batch_size: trials per batch when predicting.
    """

    kind: str = "counts"
    phase: str = "val"
    calibrate: bool = False

    def __init__(self, batch_size: int, seed: int = 0, eval_batch_size: int = 256):
        super().__init__()
        for name, value, least in (("batch_size", batch_size, 1), ("eval_batch_size", eval_batch_size, 1), ("seed", seed, 0)):
            if type(value) is not int or value < least:
                raise ConfigError(f"data.{name} is {value}; give a whole number of at least {least}.")
        self.batch_size, self.seed, self.eval_batch_size = batch_size, seed, eval_batch_size
        self._data: TrialData | None = None

    @abstractmethod
    def read(self) -> TrialData:
        """Read the recording (from its cache where there is one).

        Raises:
            DataError: the file is missing, damaged, or lacks what was asked for.
        """

    def files(self) -> list[Path]:
        """The files that are read, for their checksums in the run's record; none where the data are generated."""
        return []

    def calibration_trials(self) -> list[Trials]:
        """Trials that intervals are calibrated on: the evaluation trials, and as many again that are cut from the same ones
        otherwise."""
        return [self.data.eval]

    def learned(self) -> dict[str, Any]:
        """What predictions of trials in other files need of the training trials, plain values and tensors for a checkpoint."""
        return {}

    @property
    def data(self) -> TrialData:
        """The recording, read at first use."""
        if self._data is None:
            self._data = self.read()
        return self._data

    @property
    def spec(self) -> DataSpec:
        return self.data.spec

    def setup(self, stage: str | None = None) -> None:
        fresh = self.fresh_trials()
        self.train_set = TrialDataset(self.data.train, self.spec) if fresh is None else fresh
        self.epoch_order = EpochSampler if fresh is None else EpochNumbers
        self.eval_set = TrialDataset(self.data.eval, self.spec)

    def fresh_trials(self) -> FreshTrials | None:
        """What to train on, where it is made anew in each epoch; None trains on `data.train` over and over."""
        return None

    def train_dataloader(self) -> DataLoader:
        n = len(self.train_set)
        order = self.epoch_order(n, self.seed)
        settings = {"batch_size": min(self.batch_size, n), "sampler": order, "collate_fn": as_batch, **self.loader_settings()}
        return TrialLoader(self.divided(self.train_set), **settings)

    def loader_settings(self) -> dict[str, Any]:
        """Further settings of the loader of training batches."""
        return {}

    def val_dataloader(self) -> DataLoader:
        return self.predict_loader(self.divided(self.eval_set))

    def divided(self, trials: Dataset) -> Dataset:
        """The trials, or of each batch what falls to this process, where a trainer has several."""
        trainer = self.trainer
        if trainer is None or trainer.world_size == 1:
            return trials
        return DividedTrials(trials, trainer.global_rank, trainer.world_size)

    def predict_loader(self, trials: Dataset) -> DataLoader:
        """Batches of `trials` in their own order."""
        return DataLoader(trials, batch_size=self.eval_batch_size, collate_fn=as_batch)
