"""Trains on a file of trials that need not fit into memory."""

from pathlib import Path

import numpy as np

from neuralsde.datamodules.batches import EpochSampler, FreshTrials, TrialDataModule
from neuralsde.datamodules.streamed.file import Stored, open_trials
from neuralsde.datamodules.trials import TrialData
from neuralsde.errors import ConfigError


class TrialFile(TrialDataModule):
    """Trials of a file of `TrialFileWriter`, read batch by batch.

    Training reads of the file what a batch asks for. What needs trials together has a sample of them in memory: scores,
    baselines, mean responses and read-outs are those of `scored_trials` training trials, evenly spaced, and of all
    evaluation trials.

    Args:
        path: of the file.
        batch_size: trials per training batch.
        seed: seed of the order of the trials.
        eval_batch_size: trials per batch when predicting.
        scored_trials: training trials that are held in memory to be scored; all where there are no more.
        num_workers: processes that read batches ahead; 0 reads each when it is asked for.
        kind: what an entry is, as in `DataSpec`.
    """

    def __init__(
        self,
        path: str,
        batch_size: int = 64,
        seed: int = 0,
        eval_batch_size: int = 256,
        scored_trials: int = 2000,
        num_workers: int = 0,
        kind: str = "counts",
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        for name, value, least in (("scored_trials", scored_trials, 1), ("num_workers", num_workers, 0)):
            if type(value) is not int or value < least:
                raise ConfigError(f"data.{name} is {value}; give a whole number of at least {least}.")
        self.path, self.scored_trials, self.num_workers, self.kind = Path(path), scored_trials, num_workers, kind
        self._stored: Stored | None = None

    @property
    def stored(self) -> Stored:
        """The file, opened at first use."""
        if self._stored is None:
            self._stored = open_trials(self.path)
        return self._stored

    def files(self) -> list[Path]:
        return [self.path]

    def read(self) -> TrialData:
        """The evaluation trials and a sample of the training trials.

        Raises:
            ConfigError: the file holds data of another kind.
        """
        stored = self.stored
        if (kind := stored.facts["spec"].kind) != self.kind:
            raise ConfigError(f"data.kind is {self.kind}, but {self.path} holds {kind}; set data.kind={kind}.")
        n = len(stored.train)
        sample = np.unique(np.linspace(0, n - 1, min(self.scored_trials, n)).astype(np.int64))
        return TrialData(**stored.facts, psth=stored.psth, train=stored.train[sample], eval=stored.eval[:])

    def fresh_trials(self) -> FreshTrials:
        return FreshTrials(self.stored.train.__getitem__, self.spec, len(self.stored.train))

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        self.epoch_order = EpochSampler  # the same trials in every epoch

    def loader_settings(self) -> dict[str, int | bool]:
        return {"num_workers": self.num_workers, "persistent_workers": self.num_workers > 0}
