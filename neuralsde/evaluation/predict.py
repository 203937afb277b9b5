"""Rates, latents, intervals and forecasts of trials, over posterior samples."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from neuralsde.datamodules.batches import TrialBatch, TrialDataset
from neuralsde.datamodules.trials import Trials
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.models.latent import ModelOutput
from neuralsde.training.module import LatentDynamics


@dataclass(frozen=True)
class Prediction:
    """What a model says of trials. The bins are observed and forward ones, of a forecast those beyond the data.

    Args:
        rates: expected values (counts per bin), (trial, bin, held-in + held-out unit), float32; of categories the
            probabilities, (trial, bin, unit * class).
        latents: mean latent path, (trial, bin, latent), float32.
        lower: lower end of the predictive interval of the observations, (trial, bin, unit), where one was asked for.
        upper: its upper end.
    """

    rates: np.ndarray
    latents: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None


@dataclass(frozen=True)
class Sampling:
    """How posterior samples become a prediction.

    Args:
        n_samples: posterior samples.
        average: average the samples' rates, or their logarithms (a geometric mean).
        interval: probability of the central predictive interval of the observations, such as .9; None for no interval.
        seed: seed of the samples; the global random state is left as it was.

    Raises:
        ConfigError: a setting is impossible.
    """

    n_samples: int = 32
    average: str = "rate"
    interval: float | None = None
    seed: int = 0

    def __post_init__(self):
        if self.n_samples < 1 or self.average not in ("rate", "log_rate"):
            raise ConfigError(
                f"predict got n_samples={self.n_samples} and average={self.average!r}; give at least 1, and rate or log_rate."
            )
        if self.interval is not None and not 0 < self.interval < 1:
            raise ConfigError(
                f"predict got interval={self.interval}; give a probability between 0 and 1, such as 0.9, or None."
            )
        if self.interval is not None and self.interval > (self.n_samples - 1) / (self.n_samples + 1):
            least = math.ceil((1 + self.interval) / (1 - self.interval))
            raise ConfigError(
                f"predict got interval={self.interval} of n_samples={self.n_samples}, whose extremes cover less; give at least "
                f"{least} samples."
            )


def predict(
    module: LatentDynamics,
    trials: Trials,
    n_samples: int = 32,
    average: str = "rate",
    interval: float | None = None,
    dropout: bool = False,
    seed: int = 0,
    batch_size: int = 256,
    label: str = "",
) -> Prediction:
    """Rates and latents of `trials`; the same seed and batch size give the same numbers on the same machine.

    Args:
        module: a trained module; it computes on the device it is on.
        trials: trials with the module's units and bins.
        n_samples: see `Sampling`, as `average`, `interval` and `seed`.
        dropout: leave dropout on, as the LangevinFlow release does.
        batch_size: trials at a time.
        label: shown on a progress bar; empty for none.

    Raises:
        ConfigError: a setting is impossible.
        CheckpointError: the trials have other units or bins than the module.
    """
    sampling = Sampling(n_samples, average, interval, seed)

    def passes(batch: TrialBatch) -> Iterator[ModelOutput]:
        model, inputs = module.model, inputs_of(module, batch)
        # Without dropout the encoder is deterministic: it runs once for all samples.
        context = None if module.training else model.encoder(*inputs)
        evidence = model.evidence(*inputs[:2])
        for _ in range(n_samples):
            if context is None:
                yield model(*inputs)
            else:
                yield model.sample(context, inputs[2], inputs[0].shape[1], evidence=evidence)

    with sampled(module, seed, dropout):
        return join(summarise(module, passes(b), sampling) for b in batches(module, trials, batch_size, label))


def forecast(
    module: LatentDynamics,
    trials: Trials,
    ahead: int,
    n_samples: int = 32,
    average: str = "rate",
    interval: float | None = None,
    seed: int = 0,
    batch_size: int = 256,
    label: str = "",
) -> Prediction:
    """The prior's continuation of the posterior, `ahead` bins beyond the observed ones.

    Args:
        module: a trained module whose decoder reads the latent path alone.
        trials: trials with the module's units and bins.
        ahead: bins of the recording's own width, counted from the last observed bin.
        n_samples: see `Sampling`, as `average`, `interval` and `seed`.
        batch_size: trials at a time.
        label: shown on a progress bar; empty for none.

    Raises:
        ConfigError: a setting is impossible, or the decoder reads the encoder's context as well.
        CheckpointError: the trials have other units or bins than the module.
    """
    sampling = Sampling(n_samples, average, interval, seed)
    refuse_no_count("forecast", "ahead", ahead)

    def passes(batch: TrialBatch) -> Iterator[ModelOutput]:
        values, seen, times = inputs_of(module, batch)
        past = times[:, : values.shape[1]]
        future = past[:, -1:] + module.spec.bin_width_s * torch.arange(1, ahead + 1, device=times.device)
        for _ in range(n_samples):
            yield module.model.forecast(values, seen, past, future)

    with sampled(module, seed):
        return join(summarise(module, passes(b), sampling) for b in batches(module, trials, batch_size, label))


def generate(
    module: LatentDynamics, n: int, bins: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trials drawn from the prior: observations and expected values, (n, bin, unit), and latents, (n, bin, latent).

    Args:
        module: a trained module whose decoder reads the latent path alone.
        n: trials.
        bins: bins of the recording's own width; None for as many as a trial of the data has.
        seed: seed of the draws; the global random state is left as it was.

    Raises:
        ConfigError: a number is impossible, or the decoder reads the encoder's context as well.
    """
    bins = module.spec.total_bins if bins is None else bins
    refuse_no_count("generate", "n", n)
    refuse_no_count("generate", "bins", bins)
    times = module.spec.bin_width_s * torch.arange(bins, device=module.device)[None]
    with sampled(module, seed):
        output = module.model.generate(n, times)
        likelihood = module.model.likelihood
        draws = likelihood.sample(output.parameter), likelihood.mean(output.parameter), output.latents
    values, means, latents = (part.float().cpu().numpy() for part in draws)
    return values, means, latents


def refuse_no_count(function: str, name: str, value: int) -> None:
    """Raises:
    ConfigError: `value` is no whole number of at least 1.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{function} got {name}={value}; give a whole number of at least 1.")


@contextmanager
def sampled(module: LatentDynamics, seed: int, dropout: bool = False) -> Iterator[None]:
    """Inference with a seed of its own; mode and random state are put back."""
    was_training = module.training
    module.train(dropout)
    devices = [module.device] if module.device.type == "cuda" else []
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
    finally:
        module.train(was_training)


def batches(module: LatentDynamics, trials: Trials, batch_size: int, label: str) -> Iterable[TrialBatch]:
    """`trials` in batches, behind a progress bar where there is a label.

    Raises:
        CheckpointError: the trials have other units or bins than the module.
    """
    spec = module.spec
    if trials.heldin.shape[1:] != (spec.observed_bins, spec.observed_dim):
        raise CheckpointError(
            f"The model expects {spec.observed_bins} bins × {spec.observed_dim} held-in units, but the trials have "
            f"{trials.heldin.shape[1]} × {trials.heldin.shape[2]}: load the data that the model was trained on."
        )
    dataset = TrialDataset(trials, spec)
    starts = range(0, len(dataset), batch_size)
    for start in track(starts, description=f"predict {label}", transient=True) if label else starts:
        yield dataset.__getitems__(list(range(start, min(start + batch_size, len(dataset)))))


def inputs_of(module: LatentDynamics, batch: TrialBatch) -> list[Tensor]:
    """What the model reads of a batch, on its device."""
    return [part.to(module.device) for part in (batch.values, batch.seen, batch.times)]


def summarise(module: LatentDynamics, passes: Iterable[ModelOutput], sampling: Sampling) -> Prediction:
    """Averages and interval over passes through the model, one sample each."""
    likelihood = module.model.likelihood
    expected: Callable[[Tensor], Tensor] = likelihood.mean if sampling.average == "rate" else likelihood.log_mean
    rates = latents = torch.zeros(())
    draws = []
    for output in passes:
        rates = rates + expected(output.parameter).float().cpu() / sampling.n_samples
        latents = latents + output.latents.float().cpu() / sampling.n_samples
        if sampling.interval is not None:
            draws.append(likelihood.sample(output.parameter).float().cpu().numpy())
    rates = rates if sampling.average == "rate" else rates.exp()
    if sampling.interval is None:
        return Prediction(rates.numpy(), latents.numpy())
    tail = (1 - sampling.interval) / 2
    # Weibull's rule covers what it says; numpy's own covers .85 instead of .9 at 32 samples.
    lower, upper = np.quantile(np.stack(draws), (tail, 1 - tail), axis=0, method="weibull").astype(np.float32)
    return Prediction(rates.numpy(), latents.numpy(), lower, upper)


def join(parts: Iterable[Prediction]) -> Prediction:
    """The batches of a prediction, one after the other."""
    parts = list(parts)
    rates, latents = np.concatenate([p.rates for p in parts]), np.concatenate([p.latents for p in parts])
    if parts[0].lower is None:
        return Prediction(rates, latents)
    lower, upper = ([getattr(p, end) for p in parts] for end in ("lower", "upper"))
    return Prediction(rates, latents, np.concatenate(lower), np.concatenate(upper))
