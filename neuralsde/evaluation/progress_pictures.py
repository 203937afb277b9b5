"""Pictures of a few evaluation trials while a run trains, a few times per run and within a share of its time."""

import io
import time
from collections.abc import Callable
from dataclasses import replace

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import WandbLogger
from matplotlib.figure import Figure
from PIL import Image

from neuralsde import plots
from neuralsde.datamodules.trials import TrialData
from neuralsde.evaluation.figures import raster, series, video
from neuralsde.evaluation.predict import Prediction, predict
from neuralsde.training.module import LatentDynamics

MOST_TRIALS = 32
"""Evaluation trials that are predicted for pictures."""
FIRST_COST_S = 1.5
"""What the first pictures are taken to cost, before any have been drawn."""


class ProgressPictures(Callback):
    """Draws at validations in epochs 1, g, g², … and shows the pictures on the dashboard.

    Pictures that would take drawing above its share of the time so far wait for a later validation. Random numbers of training
    are left as they were.

    Args:
        data: the recording; some of its evaluation trials are drawn.
        logger: where they go.
        growth: g, above 1.
        share: of the time since training began, at most.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        data: TrialData,
        logger: WandbLogger,
        growth: float,
        share: float,
        clock: Callable[[], float] = time.perf_counter,
    ):
        kept = np.unique(np.linspace(0, len(data.eval) - 1, min(MOST_TRIALS, len(data.eval))).astype(int))
        self.data, self.logger = replace(data, eval=data.eval[kept]), logger
        self.growth, self.share, self.clock = growth, share, clock
        self.next_epoch, self.spent, self.cost = 1.0, 0.0, FIRST_COST_S

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.began = self.clock()

    def due(self, epoch: int) -> bool:
        """Whether pictures are to be drawn after `epoch` epochs."""
        return epoch >= self.next_epoch and self.spent + self.cost <= self.share * (self.clock() - self.began)

    # Not on_validation_end: by then the averaged weights have been put back.
    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: LatentDynamics) -> None:
        epoch = trainer.current_epoch + 1
        if trainer.sanity_checking or not trainer.is_global_zero or not self.due(epoch):
            return
        begin = self.clock()
        prediction = predict(pl_module, self.data.eval, n_samples=pl_module.val_samples)
        for name, figure in progress_figures(self.data, prediction).items():
            self.logger.log_image(f"progress/{name}", [as_image(figure)], trainer.global_step, caption=[f"epoch {epoch}"])
        self.cost = self.clock() - begin
        self.spent += self.cost
        self.next_epoch = self.growth * epoch


def progress_figures(data: TrialData, prediction: Prediction) -> dict[str, Figure]:
    """The two pictures that tell most: the observations beside the model, and the latents.

    Args:
        data: the recording.
        prediction: of its evaluation trials.
    """
    names = data.condition_names
    latents = plots.latent_trajectories(prediction.latents, data.eval.condition, names, "Latent trajectories")
    if data.is_video:
        return {"frames": video(data, prediction), "latents": latents}
    if data.spec.kind == "counts":
        return {"raster": raster(data, prediction.rates), "latents": latents}
    return {"series": series(data, prediction), "latents": latents}


def as_image(figure: Figure) -> Image.Image:
    """The drawn figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return Image.open(buffer)
