"""Train what the command line composes from `configs/`."""

import os
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from neuralsde.cli.composition import composed_or_explained
from neuralsde.cli.console import quiet_chatter, run_or_explain
from neuralsde.cli.trust import remember, trusted
from neuralsde.errors import ConfigError

CONFIGS = str(Path(__file__).parents[1] / "configs")


def train() -> float | None:
    """Train what the command line composes from `configs/`; returns the main score, for sweeps."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises its errors instead of printing them
    remember(sys.argv[1:])
    return run_or_explain(lambda: composed_or_explained(_hydra_main, CONFIGS))


@hydra.main(version_base="1.3", config_path=CONFIGS, config_name="train")
def _hydra_main(config: DictConfig) -> float:
    return run_or_explain(lambda: _train(config))  # here, since Hydra has a line of its own for what a job raises


def _train(config: DictConfig) -> float:
    if config.get("search") is not None:
        raise ConfigError(
            "A search is another command: give these words to `python -m neuralsde.search`, or leave out search=…."
        )
    from neuralsde import workflow  # torch and Lightning load only once the command line has been understood

    quiet_chatter()
    return workflow.train(config, allow_targets=trusted())
