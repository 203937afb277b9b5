"""What the dashboard's pictures cost a training run: how many sets were drawn, their seconds, and the run's.

    python -m benchmarks.picture_cost [--epochs 100]

Trains LangevinFlow on generated Lorenz spikes, with Weights & Biases offline. Prints one JSON object.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback

from neuralsde import workflow
from neuralsde.cli import CONFIGS, quiet_chatter
from neuralsde.evaluation.progress_pictures import ProgressPictures


class Counted(ProgressPictures):
    """Counts the sets of pictures, and notes how long training took."""

    drawn, seconds = 0, 0.0

    def due(self, epoch: int) -> bool:
        due = super().due(epoch)
        self.drawn += due
        return due

    def on_fit_end(self, trainer, pl_module) -> None:
        self.seconds = time.perf_counter() - self.began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100)
    epochs = parser.parse_args().epochs
    os.environ["WANDB_MODE"] = "offline"
    quiet_chatter()
    made: list[Callback] = []
    workflow.ProgressPictures = lambda *settings: made.append(Counted(*settings)) or made[-1]
    with tempfile.TemporaryDirectory() as folder, initialize_config_dir(CONFIGS, version_base="1.3"):
        words = [f"trainer.max_epochs={epochs}", "training.plots=false", "training.baselines=false"]
        workflow.train(compose("train", overrides=[*words, f"run_dir={Path(folder) / 'run'}"]))
    (pictures,) = made
    spent, seconds = pictures.spent, pictures.seconds
    share = round(spent / seconds, 4)
    print(
        json.dumps(
            {"epochs": epochs, "sets": pictures.drawn, "drawing_s": round(spent, 2), "run_s": round(seconds, 1), "share": share}
        )
    )


if __name__ == "__main__":
    main()
