"""Train what the command line composes from `configs/`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from neuralsde.cli.console import quiet_chatter, run_or_explain

CONFIGS = str(Path(__file__).parents[1] / "configs")


@hydra.main(version_base="1.3", config_path=CONFIGS, config_name="train")
def train(config: DictConfig) -> float | None:
    """Train what the command line composes from `configs/`; returns the main score, for sweeps."""
    return run_or_explain(lambda: _train(config))


def _train(config: DictConfig) -> float:
    from neuralsde import workflow  # torch and Lightning load only once the command line has been understood

    quiet_chatter()
    return workflow.train(config)
