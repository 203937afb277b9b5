"""From a config and data to a trained module: build the parts, run Lightning's Trainer."""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

import neuralsde
from neuralsde.datamodules.spikes import SpikeDataModule, SpikeDataset, stack_targets
from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.training.build import instantiate_part
from neuralsde.training.csv_log import CSVLog
from neuralsde.training.module import LatentDynamics
from neuralsde.training.progress import EpochProgress


def fill_in_sizes(config: DictConfig, spec: DataSpec) -> None:
    """Write the data's sizes into the config, where every part's size refers to them."""
    OmegaConf.update(config, "spec", {**asdict(spec), "total_bins": spec.total_bins}, force_add=True)


def build_module(config: DictConfig, spec: DataSpec) -> LatentDynamics:
    """The LightningModule that `config` describes, at its start.

    Raises:
        ConfigError: two parts do not fit each other.
    """
    settings = config.training
    module = LatentDynamics(
        model=instantiate_part(config, "model"),
        spec=spec,
        objective=instantiate_part(config, "objective"),
        optimizer=instantiate_part(config, "optimizer"),
        schedule=instantiate_part(config, "schedule"),
        coordinated_dropout=instantiate_part(settings, "coordinated_dropout"),
        sample_validation=instantiate_part(settings, "sample_validation"),
        weight_decay_ramp_epochs=settings.weight_decay_ramp_epochs,
        seed=config.seed,
        val_samples=settings.val_samples,
    )
    module.record = {
        "version": neuralsde.__version__,
        "config": OmegaConf.to_container(config, resolve=True, throw_on_missing=True),
        "spec": asdict(spec),
    }
    return module


def start_at_mean_rates(module: LatentDynamics, data: SpikeDataModule) -> None:
    """Set the read-out's start to each unit's mean over the training trials."""
    targets = torch.from_numpy(stack_targets(data.data.train, data.spec))
    module.model.likelihood.start_at(targets.nanmean(dim=(0, 1)).nan_to_num(nan=0.0))


def ema_with_warmup(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential moving average whose window grows with the run, so that early averages are not stuck at the start."""

    def average(averaged: Tensor, current: Tensor, n_averaged: Tensor | int) -> Tensor:
        share = min(decay, (1 + int(n_averaged)) / (10 + int(n_averaged)))
        return torch.lerp(current, averaged, share)

    return average


def build_trainer(config: DictConfig, run_dir: Path, loggers: list[Logger], monitored: str, steps_per_epoch: int) -> L.Trainer:
    """Lightning's Trainer with the run's callbacks; without `max_epochs`, as many epochs as make `training.steps`."""
    mode = "min" if monitored.endswith("nll") else "max"
    folder = run_dir / "checkpoints"
    callbacks: list[Callback] = [
        EpochProgress(),
        ModelCheckpoint(folder, filename="best", monitor=monitored, mode=mode, enable_version_counter=False),
        ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False),
    ]
    if config.training.ema_decay is not None:
        callbacks.append(WeightAveraging(avg_fn=ema_with_warmup(config.training.ema_decay)))
    settings: dict[str, Any] = OmegaConf.to_container(config.trainer, resolve=True)  # pyright: ignore[reportAssignmentType]
    settings["max_epochs"] = settings["max_epochs"] or math.ceil(config.training.steps / steps_per_epoch)
    settings["check_val_every_n_epoch"] = min(settings["check_val_every_n_epoch"], settings["max_epochs"])
    return L.Trainer(
        **settings,
        logger=loggers,
        callbacks=callbacks,
        default_root_dir=run_dir,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        log_every_n_steps=1,  # every metric is an epoch's mean; more than an epoch's steps would only raise a warning
    )


def monitored_score(config: DictConfig, validation: SpikeDataset, spec: DataSpec) -> str:
    """The score that picks the best checkpoint: the configured one, where the data allow it."""
    wanted = config.training.monitor
    if wanted == "val/co_bps" and not validation.known[:, : spec.observed_bins, spec.observed_dim :].any():
        return "val/nll"
    return wanted


def checkpoint_to_resume(config: DictConfig, run_dir: Path) -> Path | None:
    """The checkpoint that `ckpt=` names, or None.

    Raises:
        CheckpointError: there is no such file.
    """
    if config.ckpt is None:
        return None
    path = run_dir / "checkpoints" / "last.ckpt" if config.ckpt == "last" else Path(config.ckpt)
    if not path.is_file():
        hint = "give run_dir= of the run to go on with" if config.ckpt == "last" else "check ckpt="
        raise CheckpointError(f"There is no checkpoint at {path}: {hint}.")
    return path


def fit(config: DictConfig, data: SpikeDataModule, run_dir: Path, loggers: list[Logger]) -> tuple[LatentDynamics, Path]:
    """Train; return the module and the checkpoint that `predict.weights` names.

    Raises:
        ConfigError: an impossible setting.
        DivergenceError: the loss stopped being finite.
    """
    if config.predict.weights not in ("best", "last"):
        raise ConfigError(f"predict.weights is {config.predict.weights!r}; choose best or last.")
    data.setup()
    module = build_module(config, data.spec)
    if config.training.start_at_mean_rates:
        start_at_mean_rates(module, data)
    if config.training.compile:
        module.model.compile()
    monitored = monitored_score(config, data.eval_set, data.spec)
    trainer = build_trainer(config, run_dir, loggers, monitored, steps_per_epoch=len(data.train_dataloader()))
    resume = checkpoint_to_resume(config, run_dir)
    if resume is not None:
        for logger in loggers:
            if isinstance(logger, CSVLog):
                logger.continue_from(torch.load(resume, weights_only=True, map_location="cpu")["epoch"] + 1)
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    return module, run_dir / "checkpoints" / f"{config.predict.weights}.ckpt"
