"""The datamodule of every recording in an NWB file: the seven NLB sets, and the user's own."""

from pathlib import Path

from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.nwb.build import build_data, read_test_file
from neuralsde.datamodules.nwb.cache import Cache
from neuralsde.datamodules.nwb.files import Files, find_files
from neuralsde.datamodules.nwb.reader import Recording
from neuralsde.datamodules.nwb.recipe import Recipe
from neuralsde.datamodules.trials import TrialData, Trials
from neuralsde.errors import ConfigError, DataError

GIVE_PATH = "give data.path=FOLDER or data.path=FILE.nwb (--data-path, or load(…, data={'path': …}), for a trained model)"


class NWBDataModule(TrialDataModule):
    """Trials of a recording in the Neurodata Without Borders format, cut by the Neural Latents Benchmark's rules.

    Args:
        path: a folder that holds the train and test file, or one .nwb file.
        batch_size: trials per training batch.
        seed: seed of the order of the trials.
        eval_batch_size: trials per batch when predicting.
        phase: `val` trains on the split `train` and scores on `val`; `test` trains on both and scores on `test`.
        cache: whether tensors are kept for the next run, or the folder to keep them in.
        download: name under which `neuralsde download` fetches the files, where it can.
        settings: what to cut, see `Recipe`.
    """

    def __init__(
        self,
        path: str,
        batch_size: int = 64,
        seed: int = 0,
        eval_batch_size: int = 256,
        phase: str = "val",
        cache: bool | str = True,
        download: str | None = None,
        **settings,
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        if phase not in ("val", "test"):
            raise ConfigError(f"data.phase is `{phase}`; give `val` or `test`.")
        self.path, self.phase, self.cache, self.download = Path(path), phase, cache, download
        self.recipe = Recipe.from_settings(settings)

    @property
    def remedy(self) -> str:
        """How to get the files, the end of an error's sentence."""
        if self.download:
            return f"fetch them with `python -m neuralsde download {self.download}`, or {GIVE_PATH}"
        return GIVE_PATH

    def files(self) -> list[Path]:
        return find_files(self.path, self.remedy).present()

    def read(self) -> TrialData:
        """Read the recording (from its cache where there is one)."""
        files = find_files(self.path, self.remedy)
        return Cache(self.cache, self.path).get(files.present(), [self.recipe, self.phase], lambda: self.build(files))

    def build(self, files: Files) -> TrialData:
        """Cut the recording afresh.

        Raises:
            DataError: a file or a split is missing, or the files do not hold what the recipe asks for.
        """
        if files.train is None:
            raise DataError(f"{self.path}: there is no training file (`…desc-train….nwb`) here; {self.remedy}.")
        with Recording(files.train) as recording:
            return build_data(recording, files.test, self.recipe, self.phase, self.remedy)

    def read_test(self) -> Trials:
        """The trials of a test file by themselves, with no training file needed: held-in counts only.

        Raises:
            DataError: there is no test file, or none of its trials is in the split `test`.
        """
        files = find_files(self.path, self.remedy)
        if files.test is None:
            raise DataError(f"{self.path}: there is no test file (`…desc-test….nwb`) here; {self.remedy}.")
        return read_test_file(files.test, self.recipe)[0]
