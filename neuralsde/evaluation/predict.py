"""Rates and latents of trials, averaged over posterior samples."""

from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from neuralsde.datamodules.batches import TrialBatch, TrialDataset
from neuralsde.datamodules.trials import Trials
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.training.module import LatentDynamics


@dataclass(frozen=True)
class Prediction:
    """What a model says of trials.

    Args:
        rates: expected counts per bin, (trial, observed + forward bin, held-in + held-out unit), float32.
        latents: mean latent path, (trial, observed + forward bin, latent), float32.
    """

    rates: np.ndarray
    latents: np.ndarray


def predict(
    module: LatentDynamics,
    trials: Trials,
    n_samples: int = 32,
    average: str = "rate",
    dropout: bool = False,
    seed: int = 0,
    batch_size: int = 256,
    label: str = "",
) -> Prediction:
    """Rates and latents of `trials`; the same seed and batch size give the same numbers on the same machine.

    Args:
        module: a trained module; it computes on the device it is on.
        trials: trials with the module's units and bins.
        n_samples: posterior samples.
        average: average the samples' rates, or their logarithms (a geometric mean).
        dropout: leave dropout on, as the LangevinFlow release does.
        seed: seed of the samples; the global random state is left as it was.
        batch_size: trials at a time.
        label: shown on a progress bar; empty for none.

    Raises:
        ConfigError: `n_samples` or `average` is impossible.
        CheckpointError: the trials have other units or bins than the module.
    """
    if n_samples < 1 or average not in ("rate", "log_rate"):
        raise ConfigError(f"predict got n_samples={n_samples} and average={average!r}; give at least 1, and rate or log_rate.")
    spec = module.spec
    if trials.heldin.shape[1:] != (spec.observed_bins, spec.observed_dim):
        raise CheckpointError(
            f"The model expects {spec.observed_bins} bins × {spec.observed_dim} held-in units, but the trials have "
            f"{trials.heldin.shape[1]} × {trials.heldin.shape[2]}: load the data that the model was trained on."
        )
    dataset = TrialDataset(trials, spec)
    starts = range(0, len(dataset), batch_size)
    batches = track(starts, description=f"predict {label}", transient=True) if label else starts
    was_training = module.training
    module.train(dropout)
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=cuda_devices(module)):
            torch.manual_seed(seed)
            parts = [
                predict_batch(
                    module, dataset.__getitems__(list(range(s, min(s + batch_size, len(dataset))))), n_samples, average
                )
                for s in batches
            ]
    finally:
        module.train(was_training)
    rates, latents = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return Prediction(rates, latents)


def predict_batch(module: LatentDynamics, batch: TrialBatch, n_samples: int, average: str) -> tuple[Tensor, Tensor]:
    """Averaged rates and latents of one batch, on the CPU."""
    model = module.model
    inputs = [part.to(module.device) for part in (batch.values, batch.seen, batch.times)]
    rates = latents = torch.zeros(())
    # Without dropout the encoder is deterministic: it runs once for all samples.
    context = None if module.training else model.encoder(*inputs)
    for _ in range(n_samples):
        output = model(*inputs) if context is None else model.sample(context)
        expected = model.likelihood.mean if average == "rate" else model.likelihood.log_mean
        rates = rates + expected(output.parameter).float().cpu() / n_samples
        latents = latents + output.latents.float().cpu() / n_samples
    return rates if average == "rate" else rates.exp(), latents


def cuda_devices(module: LatentDynamics) -> list[torch.device]:
    """CUDA devices whose random state the module draws from."""
    return [module.device] if module.device.type == "cuda" else []
