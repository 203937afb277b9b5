"""A run as the command line would start it, for benchmarks that train by a loop of their own."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from neuralsde import workflow
from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialBatch, TrialDataModule
from neuralsde.evaluation.load import Run, load
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes, start
from neuralsde.training.module import LatentDynamics


class Start(NamedTuple):
    """A run before its first step."""

    config: DictConfig
    module: LatentDynamics
    data: TrialDataModule


def started(words: list[str], seed: int) -> Start:
    """What the words of the command line compose, with weights drawn from `seed`."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=[f"seed={seed}", "run_dir=unused", *words])
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    torch.manual_seed(seed)
    module = build_module(config, data.spec)
    start(module, data, config)
    return Start(config, module, data)


def trained(words: list[str], folder: Path) -> Run:
    """The run that the words of the command line train in `folder`; one that is done there already is not trained again."""
    if not (folder / "scores.json").exists():
        quiet = [f"run_dir={folder}", "logger=csv", "training.plots=false", "training.baselines=false"]
        with initialize_config_dir(CONFIGS, version_base="1.3"):
            config = compose("train", overrides=[*words, *quiet])
        with contextlib.redirect_stdout(sys.stderr):
            workflow.train(config)
    return load(folder)


def forever(data: TrialDataModule) -> Iterator[TrialBatch]:
    """Training batches, epoch after epoch."""
    loader, epoch = data.train_dataloader(), 0
    while True:
        loader.sampler.set_epoch(epoch)  # pyright: ignore[reportAttributeAccessIssue]
        yield from loader
        epoch += 1
