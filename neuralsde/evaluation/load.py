"""A checkpoint becomes a model and its data again."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.trials import DataSpec, Trials
from neuralsde.errors import CheckpointError
from neuralsde.evaluation.predict import Prediction, forecast, generate, predict
from neuralsde.training.build import instantiate_part
from neuralsde.training.checkpoint import ALLOWED, read_checkpoint, refuse_foreign_targets
from neuralsde.training.fit import build_module
from neuralsde.training.module import LatentDynamics


@dataclass(frozen=True)
class Run:
    """A trained model and how it was made.

    Args:
        module: the model, in evaluation mode.
        config: the run's resolved config.
        path: the checkpoint's file.
    """

    module: LatentDynamics
    config: DictConfig
    path: Path

    @cached_property
    def datamodule(self) -> TrialDataModule:
        """The data that the model was trained on, read at first use."""
        datamodule = instantiate_part(self.config, "data")
        if datamodule.spec != self.module.spec:
            raise CheckpointError(
                f"{self.path} was trained on {self.module.spec}, but its data now read as {datamodule.spec}: point "
                "load(..., data={'path': …}) at the original recording."
            )
        return datamodule

    def predict(self, trials: Trials | None = None, **settings: Any) -> Prediction:
        """Rates and latents of `trials` (default: the evaluation trials), with the run's own prediction settings.

        Args:
            trials: trials with the model's units and bins.
            settings: arguments of `neuralsde.evaluation.predict` that replace the run's.
        """
        own = {key: value for key, value in self.config.predict.items() if key != "weights"}
        return predict(self.module, self.datamodule.data.eval if trials is None else trials, **{**own, **settings})

    def forecast(self, ahead: int, trials: Trials | None = None, **settings: Any) -> Prediction:
        """What follows the observed bins of `trials` (default: the evaluation trials), by the prior.

        Args:
            ahead: bins beyond the observed ones.
            trials: trials with the model's units and bins.
            settings: arguments of `neuralsde.evaluation.predict.forecast`, such as `interval=0.9`.
        """
        own = {key: self.config.predict[key] for key in ("n_samples", "average", "seed")}
        return forecast(self.module, self.datamodule.data.eval if trials is None else trials, ahead, **{**own, **settings})

    def generate(self, n: int, bins: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Trials drawn from the prior: observations, expected values, latents; see `neuralsde.evaluation.predict.generate`."""
        return generate(self.module, n, bins, seed)


def load(path: str | Path, data: dict[str, Any] | None = None, allow_targets: tuple[str, ...] = ()) -> Run:
    """Load a checkpoint that a training run wrote; the data are read when they are first asked for.

    Args:
        path: a checkpoint, or a run's folder (then the weights that its `predict.weights` names).
        data: settings of the data to replace, such as `{"path": "recordings/maze"}` when the files have moved.
        allow_targets: further packages whose classes the checkpoint's config may build, such as `("mypackage.",)`; code in
            them is run, so name only what you trust.

    Raises:
        CheckpointError: the file is missing, damaged, or not one of ours.
    """
    path = checkpoint_in(Path(path))
    checkpoint = read_checkpoint(path)
    record = checkpoint["neuralsde"]
    refuse_foreign_targets(record["config"], path, (*ALLOWED, *allow_targets))
    config = DictConfig(record["config"])
    OmegaConf.update(config, "data", data or {}, merge=True)
    module = build_module(config, DataSpec(**record["spec"]))
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"{path} holds weights of another shape than its own config describes: {first}") from error
    return Run(module.eval(), config, path)


def checkpoint_in(path: Path) -> Path:
    """The checkpoint file at `path`, a file or a run's folder."""
    if not path.is_dir():
        return path
    found = [path / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
    config = path / "config.yaml"
    if config.is_file() and "weights: last" in config.read_text(errors="replace"):
        found.reverse()
    existing = [file for file in found if file.is_file()]
    if not existing:
        raise CheckpointError(f"The folder {path} holds no checkpoints/best.ckpt or last.ckpt: give a run's folder or a .ckpt.")
    return existing[0]
