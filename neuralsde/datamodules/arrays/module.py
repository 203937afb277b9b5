"""The datamodule of a user's own binned recording."""

from pathlib import Path

from neuralsde.datamodules.arrays.build import Built, build_data
from neuralsde.datamodules.arrays.file import open_arrays
from neuralsde.datamodules.arrays.layout import Layout
from neuralsde.datamodules.arrays.recording import read_recording
from neuralsde.datamodules.arrays.split import scored_split
from neuralsde.datamodules.batches import FreshTrials, TrialDataModule
from neuralsde.datamodules.settings import from_settings
from neuralsde.datamodules.trials import TrialData


class ArrayData(TrialDataModule):
    """Trials, or windows of one continuous recording, from an .npz or HDF5 file of arrays.

    A continuous recording is scored on windows that lie side by side, and trained on windows at random offsets inside its
    training blocks, drawn anew in each epoch from (`seed`, epoch, number in the epoch). Memory holds the recording, its
    windows once more as float32, and batches.

    Args:
        path: the file, `.npz`, `.h5` or `.hdf5`.
        batch_size: trials or windows per training batch.
        seed: seed of the order of the trials, or of the windows' offsets.
        eval_batch_size: trials or windows per batch when predicting.
        phase: the split that is scored, `val` or `test`; training trials are the same in both, and those of the other split
            are not looked at.
        settings: what the arrays are, see `Layout`.

    Raises:
        ConfigError: a setting is unknown or impossible.
    """

    def __init__(
        self,
        path: str | Path,
        batch_size: int = 64,
        seed: int = 0,
        eval_batch_size: int = 256,
        phase: str = "val",
        **settings,
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        self.path, self.phase = Path(path), phase
        self.layout = from_settings(Layout, settings, "a recording of arrays")
        self.kind = self.layout.kind
        scored_split(phase, self.layout.shares, self.layout.folds)
        self._built: Built | None = None

    def files(self) -> list[Path]:
        return [self.path]

    def read(self) -> TrialData:
        """Read the file and cut it.

        Raises:
            DataError: it is missing or damaged, or its arrays are not what the settings say.
            ConfigError: a setting does not fit them.
        """
        with open_arrays(self.path) as file:
            recording = read_recording(file, self.layout)
        self._built = build_data(recording, self.layout, self.phase, self.path)
        return self._built.data

    def fresh_trials(self) -> FreshTrials | None:
        """Training windows at random offsets, where the recording is continuous."""
        data = self.data
        assert self._built is not None
        draw = self._built.draw
        if draw is None or not self.layout.resample:
            return None
        return FreshTrials(lambda numbers: draw(self.seed, numbers), data.spec, self.layout.epoch_trials or len(data.train))
