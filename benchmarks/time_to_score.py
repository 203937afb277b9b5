"""Seconds of training until `model=langevinflow` reaches a validation co-bps on reach8, by default .167.

    python -m benchmarks.time_to_score --path FOLDER_OF_REACH8 [--target 0.167] [--seeds 0 1 2] [OVERRIDE …]

The target is where the released model stood after about 25 CPU minutes. The clock runs from the first training step and
includes the validations. Prints one JSON object per seed: `seed`, `seconds`, `epoch`, `best` (the best validation co-bps of
the whole run) and `total_s`.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import lightning as L
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback

from neuralsde.cli import CONFIGS, quiet_chatter
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, build_trainer, fill_in_sizes, start


class Clock(Callback):
    """Notes when the validation score first reached the target, and its best."""

    def __init__(self, target: float):
        self.target, self.best, self.reached, self.epoch = target, float("-inf"), None, None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.begin = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.best = max(self.best, trainer.callback_metrics["val/co_bps"].item())
        if self.reached is None and self.best >= self.target:
            self.reached, self.epoch = time.perf_counter() - self.begin, trainer.current_epoch + 1


def time_run(path: str, target: float, seed: int, overrides: list[str]) -> dict[str, float | int | None]:
    """Train once; see the module's docstring for the fields."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["data=reach8", f"data.path={path}", f"seed={seed}", f"run_dir={folder}", "logger=csv", *overrides]
        with initialize_config_dir(CONFIGS, version_base="1.3"):
            config = compose("train", overrides=words)
        L.seed_everything(seed, verbose=False)
        data = instantiate_part(config, "data")
        fill_in_sizes(config, data.spec)
        data.setup()
        module = build_module(config, data.spec)
        start(module, data, config)
        trainer = build_trainer(config, Path(folder), "val/co_bps", len(data.train_dataloader()))
        clock = Clock(target)
        trainer.callbacks.append(clock)  # pyright: ignore[reportAttributeAccessIssue]
        trainer.fit(module, datamodule=data)
        total = time.perf_counter() - clock.begin
    return {"seed": seed, "seconds": clock.reached, "epoch": clock.epoch, "best": clock.best, "total_s": total}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--path", required=True)
    arguments.add_argument("--target", type=float, default=0.167)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments.add_argument("overrides", nargs="*")
    options = arguments.parse_args()
    quiet_chatter()
    for seed in options.seeds:
        row = time_run(options.path, options.target, seed, options.overrides)
        print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}), flush=True)


if __name__ == "__main__":
    main()
