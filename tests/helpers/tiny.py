"""Training runs that take a second, or no Trainer at all: small generated data, small models."""

import copy
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from numpy.random import Generator
from omegaconf import DictConfig, OmegaConf
from torch import nn

from neuralsde.cli import CONFIGS
from neuralsde.datamodules import lorenz
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes, start
from neuralsde.training.fit_check import check_fit
from neuralsde.training.module import LatentDynamics

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
SIZES = {"hidden_size", "embedding_size", "feedforward_size", "model_size"}
SMALL = 8


def drawn_once(draw: Callable[[Generator, int], np.ndarray]) -> Callable[[Generator, int], np.ndarray]:
    """The same draws, but walked to only once from each state of the generator: the Lorenz system's way to its attractor is
    half of a tiny run."""
    known = {}

    def remembered(rng: Generator, n: int) -> np.ndarray:
        key = repr(rng.bit_generator.state), n
        if key not in known:
            known[key] = draw(rng, n), rng.bit_generator.state
        starts, rng.bit_generator.state = known[key]
        return starts.copy()

    return remembered


lorenz.random_starts = drawn_once(lorenz.random_starts)


def loaded_once(load: Callable[..., Any]) -> Callable[..., Any]:
    """The same files of a config, but read only once: a third of the time of a composition."""
    known = {}

    def remembered(self: ConfigRepository, config_path: str) -> Any:
        key = config_path, *((source.scheme(), source.path) for source in self.sources)
        if key not in known:
            known[key] = load(self, config_path)
        return copy.deepcopy(known[key])

    return remembered


ConfigRepository.load_config = loaded_once(ConfigRepository.load_config)


def tiny_simulated(name: str) -> list[str]:
    """Command-line words for a little of the simulated data `name`."""
    sizes = ["n_train=16", "n_eval=6", "observed_bins=8", "forward_bins=3", "batch_size=8"]
    steps = [] if name == "chaos" else ["system.substeps=4"]
    return [f"data={name}", *(f"data.{word}" for word in (*sizes, *steps))]


def tiny_overrides(run_dir: Path, *overrides: str) -> list[str]:
    """Command-line words of a tiny run into `run_dir`, on Lorenz data unless `overrides` choose others; later ones win."""
    data = [] if any(word.startswith("data=") for word in overrides) else TINY_LORENZ
    return [*data, *FAST, f"run_dir={run_dir}", *overrides]


GROUPS = {path.name for path in Path(CONFIGS).iterdir() if path.is_dir()}


def composed(*overrides: str, name: str = "train") -> DictConfig:
    """The config that a command line describes, or that of one file.

    Choices of files are composed once, which is most of the work; words that set values are Hydra's to apply, as ever after
    them."""
    settings = [word for word in overrides if sets_a_value(word)]
    config = copy.deepcopy(_composed(*(word for word in overrides if word not in settings), name=name))
    ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides(settings), config)
    return config


def sets_a_value(word: str) -> bool:
    """Whether a word of the command line leaves the choice of files as it is."""
    key = word.lstrip("+~").partition("=")[0]
    return not re.search("[/@]", key) and key not in GROUPS and not key.startswith("hydra")


@functools.cache
def _composed(*overrides: str, name: str) -> DictConfig:
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return compose(name, overrides=list(overrides))


def tiny_config(run_dir: Path, *overrides: str) -> DictConfig:
    """The composed config of a tiny run into `run_dir`; the same words are composed once."""
    config = copy.deepcopy(_tiny_config(*overrides))
    if not any(word.startswith("run_dir=") for word in overrides):
        config.run_dir = str(run_dir)
    return config


@functools.cache
def _tiny_config(*overrides: str) -> DictConfig:
    return composed(*tiny_overrides(Path("unused"), *overrides))


@functools.cache
def light_config(*overrides: str) -> DictConfig:
    """A tiny config with small layers, whose KL weighs from the first step on; composed once, so copy it to change it."""
    config = tiny_config(Path("unused"), "objective.kl_ramp_epochs=0", *overrides)
    shrink(config.model)
    return config


def shrink(part: DictConfig) -> None:
    """Make every layer in a part's config small."""
    for key in part:
        if OmegaConf.is_interpolation(part, key):
            continue
        if isinstance(part[key], DictConfig):
            shrink(part[key])
        elif key in SIZES and part[key] is not None:
            part[key] = SMALL


@functools.cache
def light_data(*overrides: str) -> TrialDataModule:
    """Tiny data, read once."""
    data = instantiate_part(light_config(*overrides), "data")
    data.setup()
    return data


def light_training(config: DictConfig, data: TrialDataModule) -> LatentDynamics:
    """The module that `config` describes after two steps on one batch, without a Trainer; losses and gradients are finite,
    and every part of the model has learned something."""
    check_fit(config, data)
    fill_in_sizes(config, data.spec)
    torch.manual_seed(0)
    module = build_module(config, data.spec)
    start(module, data, config)
    module.log = module.log_dict = lambda *_, **__: None
    batch, optimizer = data.train_set.__getitems__([0, 1, 2, 3]), module.make_optimizer(module.parameter_groups())
    for _ in range(2):
        optimizer.zero_grad()
        loss = module.training_step(batch, 0)
        loss.backward()
        assert loss.isfinite()
        for name, part in module.model.named_children():
            gradients = [p.grad for p in part.parameters() if p.grad is not None]
            assert all(g.isfinite().all() for g in gradients), name
        optimizer.step()
    idle = [name for name, part in module.model.named_children() if not learned(part)]
    assert not idle
    return module


def learned(part: nn.Module) -> bool:
    """Whether a gradient has reached one of its weights, where it has any."""
    weights = list(part.parameters())
    return not weights or any(w.grad is not None and w.grad.any() for w in weights)
