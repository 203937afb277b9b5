"""Training of one leg, in whatever process: from its parent's checkpoint to its stop, into a folder that appears when done."""

import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.errors import ConfigError, DivergenceError
from neuralsde.files import write_whole
from neuralsde.plots import read_metrics
from neuralsde.search.ledger import OUTCOME, checkpoint_of, read_outcome
from neuralsde.search.leg import Leg, Outcome, Trained
from neuralsde.search.settings import Searched
from neuralsde.search.space import Settings
from neuralsde.training.build import instantiate_part
from neuralsde.training.checkpoint import read_checkpoint
from neuralsde.training.csv_log import CSVLog
from neuralsde.training.fit import Fit, fill_in_sizes, prepare_fit
from neuralsde.training.fit_check import check_fit
from neuralsde.training.module import LatentDynamics
from neuralsde.training.settings import check_settings

FAILURES = (DivergenceError, ConfigError, torch.OutOfMemoryError)
"""What settings bring about; anything else ends the search."""


@dataclass(frozen=True)
class Job:
    """A leg and what it takes to train it; plain values, so that it can be sent to another process.

    Args:
        config: of the search, unresolved.
        folder: the search's folder, which all machines of a cluster see.
        leg: what to train.
        parent: folder of the leg that it goes on from, or None.
        searched: what is known of the search as a whole.
    """

    config: dict[str, Any]
    folder: str
    leg: Leg
    parent: str | None
    searched: Searched


class StopAfter(Callback):
    """Ends the training after an epoch, with the schedule of the whole search.

    Args:
        epochs: number of epochs after which to end.
    """

    def __init__(self, epochs: int):
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


class NewSettings(Callback):
    """Gives the optimizer of the parent's checkpoint the leg's own settings; what it knows of the gradients stays.

    A schedule multiplies the learning rate, so the rate that it has come to is scaled by what explores did to the first one.

    Args:
        before: the parent's `optimizer` settings.
        now: the leg's.
    """

    def __init__(self, before: DictConfig, now: DictConfig):
        self.scale = now.lr / before.lr if "lr" in now else 1.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, LatentDynamics)
        fresh = pl_module.make_optimizer(pl_module.parameter_groups())
        for group, new in zip(trainer.optimizers[0].param_groups, fresh.param_groups, strict=True):
            group.update({key: value for key, value in new.items() if key not in ("params", "lr")})
            for key in ("lr", "initial_lr"):
                if key in group:
                    group[key] *= self.scale
        for config in trainer.lr_scheduler_configs:
            scheduler: Any = config.scheduler
            scheduler.base_lrs = [rate * self.scale for rate in scheduler.base_lrs]


def config_of(config: DictConfig, settings: Settings, seed: int, epochs: int, run_dir: Path) -> DictConfig:
    """The config of a run with these settings, without the search.

    Args:
        config: of the search.
        settings: values of the searched settings.
        seed: of the run.
        epochs: that a trial trains to the end.
        run_dir: the run's folder.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    own = OmegaConf.create({key: value for key, value in plain.items() if key != "search"})
    OmegaConf.update(own, "trainer.max_epochs", epochs)
    OmegaConf.update(own, "seed", seed)
    OmegaConf.update(own, "run_dir", str(run_dir))
    for key, value in settings.items():
        OmegaConf.update(own, key, value)
    return own


@lru_cache(maxsize=1)
def data_of(text: str) -> TrialDataModule:
    """The data that a config describes, kept by a process that trains one leg after another."""
    return instantiate_part(OmegaConf.create({"data": OmegaConf.create(text)}), "data")


def train_leg(job: Job) -> Trained:
    """Train a leg, unless its folder is there already; its folder appears whole.

    Raises:
        NeuralSDEError: what is no matter of the leg's settings, such as a full disk.
    """
    folder = Path(job.folder) / job.leg.folder
    if (folder / OUTCOME).is_file():
        return read_outcome(folder)
    work = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}")
    work.mkdir(parents=True)
    begin = time.monotonic()
    try:
        with threads(job.searched.threads):
            outcome = run_of(job, work)
    except FAILURES as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        outcome = Outcome(math.nan, math.nan, 0.0, reason)
    trained = Trained(job.leg, replace(outcome, seconds=round(time.monotonic() - begin, 1)))
    write_whole(work / OUTCOME, json.dumps(trained.as_dict(), indent=2, ensure_ascii=False) + "\n")
    os.replace(work, folder)
    return trained


@contextmanager
def threads(n: int) -> Iterator[None]:
    """As many threads of torch as a trial has cores: sums depend on how they are split."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_of(job: Job, work: Path) -> Outcome:
    """Train in the folder `work`."""
    leg, searched = job.leg, job.searched
    base = OmegaConf.create(job.config)
    config = config_of(base, leg.settings, base.seed + leg.trial, searched.epochs, work)
    check_settings(config)
    L.seed_everything(config.seed, verbose=False)
    data = data_of(OmegaConf.to_yaml(config.data, resolve=True))
    check_fit(config, data)
    fill_in_sizes(config, data.spec)
    prepared = prepare_fit(config, data, work)
    callbacks: list[Callback] = [StopAfter(searched.stops[leg.generation])]
    prepared.trainer.callbacks.remove(prepared.trainer.progress_bar_callback)  # pyright: ignore
    begin = 0
    if job.parent is not None:
        begin = searched.stops[leg.generation - 1]
        prepared = replace(prepared, resume=checkpoint_of(Path(job.parent), "last"))
        callbacks.append(NewSettings(optimizer_of(prepared), config.optimizer))
        shutil.copy(Path(job.parent) / "metrics.csv", work)
    write_whole(work / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
    prepared.run([CSVLog(work)], callbacks)
    return outcome_of(work, searched, begin)


def optimizer_of(prepared: Fit) -> DictConfig:
    """The optimizer's settings in the checkpoint that a run goes on from."""
    assert prepared.resume is not None
    return DictConfig(read_checkpoint(prepared.resume)["neuralsde"]["config"]["optimizer"])


def outcome_of(work: Path, searched: Searched, begin: int) -> Outcome:
    """Scores of the validations from epoch `begin` on.

    Raises:
        DivergenceError: the last one is not finite.
    """
    columns = read_metrics(work / "metrics.csv")
    values = columns.get(searched.monitor, np.full(len(columns["epoch"]), np.nan))
    last = values[-1]
    if not math.isfinite(last):
        raise DivergenceError(f"{searched.monitor} is {last} in epoch {columns['epoch'][-1]:.0f}, the last one of the leg.")
    own = values[columns["epoch"] >= begin]
    return Outcome(float(last), float(np.nanmax(own) if searched.higher else np.nanmin(own)), 0.0)
