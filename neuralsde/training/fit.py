"""From a config and data to a trained module: build the parts, run Lightning's Trainer."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

import neuralsde
from neuralsde.datamodules.batches import TrialDataModule, TrialDataset, stack_targets
from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import ConfigError
from neuralsde.models.latent import EVERY_BIN
from neuralsde.training.build import instantiate_part
from neuralsde.training.checkpoint import (
    AtomicCheckpointIO,
    checkpoint_to_resume,
    epochs_done,
    read_checkpoint,
    refuse_other_settings,
    refuse_other_weights,
)
from neuralsde.training.csv_log import CSVLog
from neuralsde.training.heap import keep_freed_memory
from neuralsde.training.init_from import InitialModel
from neuralsde.training.keep import keepers
from neuralsde.training.launch import refuse_other_strategies, strategy_of
from neuralsde.training.module import LatentDynamics
from neuralsde.training.processes import part
from neuralsde.training.progress import EpochProgress
from neuralsde.training.stale import StopStale
from neuralsde.training.stop import STOPPED, StopAtSignal, slurm


def fill_in_sizes(config: DictConfig, spec: DataSpec) -> None:
    """Write the data's sizes into the config, where every part's size refers to them."""
    derived = {"total_bins": spec.total_bins, "duration_s": spec.duration_s, "widest_s": spec.widest_s}
    OmegaConf.update(config, "spec", {**asdict(spec), **derived}, force_add=True)


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
        decay_matrices_only=settings.decay_matrices_only,
        heldout_weight=weight_of(settings, "heldout_weight"),
        forward_weight=weight_of(settings, "forward_weight"),
        norm_penalty=settings.get("norm_penalty", 0.0),
        explosion_ratio=settings.get("explosion_ratio"),
    )
    if module.model.centre is not None:
        module.model.centre = torch.zeros(spec.observed_dim)
    if (matching := module.objective.matching) is not None:  # said before anything is written
        module.model.parts_of(matching, module.model.dynamics.matched_bins(spec.total_bins, spec.observed_bins))
    module.record = {
        "version": neuralsde.__version__,
        "config": OmegaConf.to_container(config, resolve=True, throw_on_missing=True),
        "spec": asdict(spec),
    }
    return module


def weight_of(settings: DictConfig, name: str) -> float:
    """A weight of the likelihood; 1 where the settings, such as those of an earlier version, do not give it."""
    weight = settings.get(name)
    return 1.0 if weight is None else float(weight)


def start(module: LatentDynamics, data: TrialDataModule, config: DictConfig) -> None:
    """Begin with what the settings take from the training trials."""
    if module.model.centre is not None:
        centre_inputs(module, data)
    if config.training.start_at_mean_rates:
        start_at_mean_rates(module, data)


def start_at_mean_rates(module: LatentDynamics, data: TrialDataModule) -> None:
    """Set the read-out's start to each unit's mean over the training trials, and that of matched means to the observations,
    where the encoder passes them on."""
    targets = torch.from_numpy(stack_targets(data.data.train, data.spec))
    module.model.likelihood.start_at(targets.nanmean(dim=(0, 1)).nan_to_num(nan=0.0))
    module.model.start_at_observations()


def centre_inputs(module: LatentDynamics, data: TrialDataModule) -> None:
    """Let the encoder read deviations from each observed unit's mean over the training trials."""
    heldin = torch.from_numpy(data.data.train.heldin.astype(np.float32))
    module.model.centre = heldin.nanmean(dim=(0, 1)).nan_to_num(nan=0.0)


def explained_bins(data: TrialDataModule) -> slice:
    """From the first to the last bin in which a training trial has a target, the same in all processes; all bins where trials
    are made anew in each epoch."""
    if data.spec.predicts_inputs or data.fresh_trials() is not None:
        return EVERY_BIN
    at = np.flatnonzero(np.isfinite(stack_targets(data.data.train, data.spec)).any((0, 2)))
    return slice(int(at[0]), int(at[-1]) + 1) if len(at) else EVERY_BIN


def ema_with_warmup(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential moving average whose window grows with the run, so that early averages are not stuck at the start."""

    def average(averaged: Tensor, current: Tensor, n_averaged: Tensor | int) -> Tensor:
        if not current.is_floating_point():  # how many batches a normalisation has seen
            return current
        share = min(decay, (1 + int(n_averaged)) / (10 + int(n_averaged)))
        return torch.lerp(current, averaged, share)

    return average


def build_trainer(config: DictConfig, run_dir: Path, monitored: str, steps_per_epoch: int) -> L.Trainer:
    """Lightning's Trainer with the run's callbacks; without `max_epochs`, as many epochs as make `training.steps`.

    Raises:
        ConfigError: Lightning refuses a setting, such as a device that is not there.
    """
    callbacks: list[Callback] = [EpochProgress(), *keepers(run_dir / "checkpoints", monitored), StopAtSignal()]
    if config.training.ema_decay is not None:
        callbacks.append(WeightAveraging(avg_fn=ema_with_warmup(config.training.ema_decay)))
    if (stale := config.training.get("stop_stale")) is not None:
        callbacks.append(StopStale(monitored, stale.patience, stale.after))
    settings: dict[str, Any] = OmegaConf.to_container(config.trainer, resolve=True)  # pyright: ignore[reportAssignmentType]
    if settings["max_epochs"] is None:
        wanted, every = math.ceil(config.training.steps / steps_per_epoch), settings["check_val_every_n_epoch"]
        settings["max_epochs"] = math.ceil(wanted / every) * every if wanted > every else wanted  # end with a validation
    settings["check_val_every_n_epoch"] = min(settings["check_val_every_n_epoch"], settings["max_epochs"])
    strategy = strategy_of(settings)
    try:
        trainer = L.Trainer(
            **{**settings, "strategy": strategy},
            logger=False,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO(), *(slurm() if isinstance(strategy, str) else [])],  # else it knows its environment
            use_distributed_sampler=False,  # the datamodule divides batches itself
            default_root_dir=run_dir,
            num_sanity_val_steps=0,
            enable_model_summary=False,
            log_every_n_steps=1,  # every metric is an epoch's mean; more than an epoch's steps would only raise a warning
        )
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(f"The trainer cannot be built from its settings: {reason}; check trainer.*.") from error
    refuse_other_strategies(trainer, settings)
    return trainer


def monitored_score(config: DictConfig, validation: TrialDataset, spec: DataSpec) -> str:
    """The score that picks the best checkpoint: `training.monitor`; without one `val/co_bps` where the data have held-out
    units, else `val/elbo`, or `val/nll` where the decoder reads the context.

    Raises:
        ConfigError: the run or the schedule watches a score that the data do not allow.
    """
    scores = ["val/nll", *(["val/elbo"] if not config.model.get("decode_context") else [])]
    otherwise = scores[-1]
    if spec.kind == "real":
        scores.append("val/mse")
    if spec.kind in ("binary", "category"):
        scores.append("val/accuracy")
        if len(validation.targets[validation.known].unique()) > 1:  # of one class alone there is no such area
            scores.append("val/auroc")
    if spec.kind == "counts" and validation.known[:, : spec.observed_bins, spec.observed_dim :].any():
        scores.append("val/co_bps")
    if spec.kind == "counts" and validation.known[:, spec.observed_bins :].any():
        scores.append("val/fp_bps")
    if "val/co_bps" in scores:
        otherwise = "val/co_bps"
    best = otherwise if config.training.monitor is None else config.training.monitor
    for setting, watched in (("training", best), ("schedule", config.schedule.get("monitor", scores[0]))):
        if watched not in scores:
            raise ConfigError(
                f"{setting}.monitor is {watched}, but validation on these data gives only {', '.join(scores)}: choose one."
            )
    return best


@dataclass(frozen=True)
class Fit:
    """A training run that has been checked and not begun: nothing has been written yet.

    Args:
        module: the LightningModule at its start.
        trainer: Lightning's Trainer, without loggers.
        data: the datamodule.
        resume: the checkpoint to go on from, or None.
        initial: the checkpoint whose model it begins with, or None.
    """

    module: LatentDynamics
    trainer: L.Trainer
    data: TrialDataModule
    resume: Path | None
    initial: Path | None = None

    @property
    def leads(self) -> bool:
        """Whether this process is the first of the run's, the one that writes, speaks and scores."""
        return self.trainer.is_global_zero

    @property
    def epochs_done(self) -> int:
        """Epochs that had ended in the checkpoint to go on from; 0 where the run begins."""
        return 0 if self.resume is None else epochs_done(read_checkpoint(self.resume))

    def run(self, loggers: list[Logger], callbacks: Sequence[Callback] = ()) -> None:
        """Train.

        Args:
            loggers: where metrics go.
            callbacks: further ones, which come before the trainer's own: at validation they meet the averaged weights.

        Raises:
            DivergenceError: the loss stopped being finite.
            CheckpointError: a checkpoint cannot be written.
        """
        for logger in loggers:
            if isinstance(logger, CSVLog):
                logger.continue_from(self.epochs_done)
        keep_freed_memory()
        self.trainer.loggers = loggers
        self.trainer.callbacks[:0] = callbacks  # pyright: ignore[reportAttributeAccessIssue]
        try:
            self.trainer.fit(self.module, datamodule=self.data, ckpt_path=self.resume, weights_only=True)
        except SystemExit as stop:  # how Lightning ends on Ctrl-C (1) and, between epochs, on SIGTERM (no status)
            folder = self.trainer.default_root_dir
            if self.leads:
                print(
                    f"Stopped in epoch {self.trainer.current_epoch + 1}; go on with `neuralsde resume {folder}`, or with the "
                    f"same command, run_dir={folder} and ckpt=auto.",
                    file=sys.stderr,
                )
            raise SystemExit(130 if stop.code == 1 else STOPPED) from None
        finally:
            part()


def prepare_fit(config: DictConfig, data: TrialDataModule, run_dir: Path, initial: InitialModel | None = None) -> Fit:
    """Build and check everything that training needs, without writing anything.

    Args:
        config: with the data's sizes filled in.
        data: the datamodule.
        run_dir: the run's folder.
        initial: what `init_from` gives.

    Raises:
        ConfigError: an impossible setting.
        CheckpointError: the checkpoint to go on from or to begin with is missing, damaged or of another model.
    """
    if config.ckpt is None and (old := sorted((run_dir / "checkpoints").glob("*.ckpt"))):
        raise ConfigError(
            f"{run_dir} holds a run already ({old[0].name}): go on with it with `neuralsde resume {run_dir}` or ckpt=auto, or "
            "give another run_dir."
        )
    data.setup()
    if initial is not None:
        initial.refuse_other_sizes(data.spec)
    module = build_module(config, data.spec)
    module.record |= {"learned": learned} if (learned := data.learned()) else {}
    module.explained = explained_bins(data)
    if initial is not None:
        initial.load_into(module.model)
    else:
        start(module, data, config)
    module.new_optimizer()  # refused before anything is written
    if config.training.compile:
        module.model.compile()
    monitored = monitored_score(config, data.eval_set, data.spec)
    trainer = build_trainer(config, run_dir, monitored, steps_per_epoch=len(data.train_dataloader()))
    resume = checkpoint_to_resume(config, run_dir)
    if resume is not None:
        checkpoint = read_checkpoint(resume)
        refuse_other_settings(resume, checkpoint, module.record, trainer.max_epochs or 0)
        refuse_other_weights(resume, checkpoint, module)
    return Fit(module, trainer, data, resume, None if initial is None else initial.path)
