"""A training run that takes a second: small generated Lorenz data, small models."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from neuralsde.cli import CONFIGS

TINY_LORENZ = [
    "data=lorenz",
    "data.n_conditions=6",
    "data.trials_per_condition=5",
    "data.heldout_conditions=1",
    "data.n_neurons=12",
    "data.n_heldout=3",
    "data.observed_bins=10",
    "data.forward_bins=3",
    "data.batch_size=8",
]
FAST = ["logger=csv", "trainer.max_epochs=2", "trainer.accelerator=cpu", "predict.n_samples=2", "training.plots=false"]


def tiny_overrides(run_dir: Path, *overrides: str) -> list[str]:
    """Command-line words of a tiny run into `run_dir`; later ones win."""
    return [*TINY_LORENZ, *FAST, f"run_dir={run_dir}", *overrides]


def tiny_config(run_dir: Path, *overrides: str) -> DictConfig:
    """The composed config of a tiny run into `run_dir`."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return compose("train", overrides=tiny_overrides(run_dir, *overrides))
