"""Go on with a run that was stopped, with the settings that it was started with."""

import argparse
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from neuralsde.cli.console import Result, quiet_chatter
from neuralsde.cli.trust import add_trust
from neuralsde.errors import CheckpointError

HELP = "go on with a run that was stopped"
EXAMPLES = """  neuralsde resume runs/mine
  neuralsde resume runs/mine --steps 8000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", help="the run's folder")
    add_trust(parser)
    parser.add_argument("--steps", type=int, help="optimiser steps in all, where trainer.max_epochs was not given")


def run(arguments: argparse.Namespace) -> Result:
    """Train on; the result is the main score."""
    from neuralsde import workflow

    quiet_chatter()
    config = settings_of(Path(arguments.run_dir), arguments.steps)
    return {"run_dir": arguments.run_dir, "score": workflow.train(config, arguments.allow_targets)}


def settings_of(run_dir: Path, steps: int | None) -> DictConfig:
    """The settings with which a run goes on.

    Raises:
        CheckpointError: the folder holds none, or damaged ones.
    """
    from neuralsde.training.files import read_config

    path = run_dir / "config.yaml"
    if not path.is_file():
        raise CheckpointError(f"There is no {path}: give the folder of a run.")
    config = read_config(path)
    OmegaConf.update(config, "ckpt", "auto")  # a run that was killed before its first checkpoint begins
    OmegaConf.update(config, "run_dir", str(run_dir))
    if steps:
        OmegaConf.update(config, "training.steps", steps)
    return config
