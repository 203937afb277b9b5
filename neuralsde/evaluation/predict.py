"""Rates, latents, intervals, quantiles and forecasts of trials, over posterior samples."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from neuralsde.datamodules.batches import TrialBatch, TrialDataset
from neuralsde.datamodules.trials import DataSpec, Trials
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.evaluation.prediction import Coordinates, Prediction
from neuralsde.models.latent import EVERY_BIN, ModelOutput
from neuralsde.training.module import LatentDynamics

__all__ = ["Coordinates", "Prediction", "Sampling", "forecast", "generate", "predict"]

KEPT = 2**26
"""Draws (numbers) that are held at a time where quantiles or a median are asked for: a quarter of a gigabyte."""
MOST = 2**31
"""Draws (numbers) of one trial that are held at most: eight gigabytes."""
AVERAGES = ("rate", "log_rate", "median")


@dataclass(frozen=True)
class Sampling:
    """How posterior samples become a prediction. Memory does not grow with their number, up to what one trial's draws need
    where an interval, quantiles or a median are asked for.

    Args:
        n_samples: posterior samples.
        average: `rate` averages the samples' rates, `log_rate` their logarithms (a geometric mean), and `median` takes the
            middle one, which heavy tails do not move.
        interval: probability of the central predictive interval of the observations, such as .9; None for no interval.
        seed: seed of the samples; the global random state is left as it was.
        quantiles: probabilities of quantiles of the observations, such as (.05, .5, .95).
        sample_batch: samples at a time; more are faster where trials are few, and give other draws.

    Raises:
        ConfigError: a setting is impossible.
    """

    n_samples: int = 32
    average: str = "rate"
    interval: float | None = None
    seed: int = 0
    quantiles: Sequence[float] = ()
    sample_batch: int = 1

    def __post_init__(self):
        refuse_no_count("predict", "n_samples", self.n_samples)
        refuse_no_count("predict", "sample_batch", self.sample_batch)
        if self.average not in AVERAGES:
            raise ConfigError(f"predict got average={self.average!r}; give {', '.join(AVERAGES[:-1])} or {AVERAGES[-1]}.")
        if self.interval is not None and not 0 < self.interval < 1:
            raise ConfigError(
                f"predict got interval={self.interval}; give a probability between 0 and 1, such as 0.9, or None."
            )
        if not all(0 < p < 1 for p in listed(self.quantiles)):
            raise ConfigError(f"predict got quantiles={list(self.quantiles)}; give probabilities between 0 and 1, such as 0.5.")
        tail = min((p for q in self.probabilities for p in (q, 1 - q)), default=0.5)
        if tail < 1 / (self.n_samples + 1) * (1 - 1e-9):
            what = f"interval={self.interval}" if self.interval is not None else f"quantiles={list(self.quantiles)}"
            raise ConfigError(
                f"predict got {what} of n_samples={self.n_samples}, whose extremes cover less; give at least "
                f"{math.ceil(1 / tail - 1 - 1e-9)} samples."
            )

    @property
    def probabilities(self) -> list[float]:
        """Of all quantiles that are needed, those of the interval last."""
        tail = [] if self.interval is None else [(1 - self.interval) / 2, (1 + self.interval) / 2]
        return [*self.quantiles, *tail]

    @property
    def passes(self) -> Iterator[int]:
        """Samples in each pass through the model."""
        return (min(self.sample_batch, self.n_samples - done) for done in range(0, self.n_samples, self.sample_batch))

    def trials_at_once(self, batch_size: int, numbers: int) -> int:
        """How many trials of so many numbers each fit into memory with all that is kept of their samples.

        Raises:
            ConfigError: not even one does.
        """
        kinds = (len(self.probabilities) > 0) + (self.average == "median")
        if self.n_samples * numbers * kinds > MOST:
            raise ConfigError(
                f"predict got n_samples={self.n_samples}, whose intervals, quantiles or median need "
                f"{4e-9 * self.n_samples * numbers * kinds:,.0f} GB for one trial; give at most {MOST // (numbers * kinds)}."
            )
        return max(1, min(batch_size, KEPT // (self.n_samples * numbers * kinds))) if kinds else batch_size


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
    quantiles: Sequence[float] = (),
    sample_batch: int = 1,
) -> Prediction:
    """Rates and latents of `trials`; the same seed and batch sizes give the same numbers on the same machine.

    Args:
        module: a trained module; it computes on the device it is on.
        trials: trials with the module's units and bins; in bins that their `rows` leave out nothing is said (NaN).
        n_samples: see `Sampling`, as `average`, `interval`, `seed`, `quantiles` and `sample_batch`.
        dropout: leave dropout on, as the LangevinFlow release does.
        batch_size: trials at a time, at most.
        label: shown on a progress bar; empty for none.

    Raises:
        ConfigError: a setting is impossible.
        CheckpointError: the trials have other units or bins than the module.
    """
    sampling = Sampling(n_samples, average, interval, seed, quantiles, sample_batch)
    spec = module.spec

    def passes(batch: TrialBatch) -> Iterator[ModelOutput]:
        model, inputs = module.model, inputs_of(module, batch)
        # Without dropout the encoder is deterministic: it runs once for all samples.
        context = None if module.training else model.encode(*inputs)
        evidence = model.evidence(*inputs[:2])
        for samples in sampling.passes:
            if context is None:
                yield model(*inputs, samples=samples)
            else:
                made = model.sample(context, inputs[2], inputs[0].shape[1], samples, evidence=evidence, decoded=said)
                yield in_all_bins(made, said, inputs[2].shape[1])

    axes = coordinates(spec, trials, bin_times(spec, trials), spec.observed_bins)
    said = EVERY_BIN if getattr(module.model.decoder, "mixes_bins", True) else said_bins(trials)
    with sampled(module, seed, dropout):
        made = gathered(module, trials, sampling, batch_size, label, passes, axes)
    made = made.mapped(trials.in_units) if trials.targets is not None else made
    if (rows := trials.rows) is None:
        return made
    return made.mapped(lambda said: np.where(rows[..., None], said, np.float32(np.nan)))


def said_bins(trials: Trials) -> slice:
    """From the first to the last bin that is said of any of the trials: no other need be decoded."""
    at = np.arange(0) if trials.rows is None else np.flatnonzero(trials.rows.any(0))
    return slice(int(at[0]), int(at[-1]) + 1) if len(at) else EVERY_BIN


def in_all_bins(output: ModelOutput, said: slice, bins: int) -> ModelOutput:
    """A pass with parameters in all bins, of which those that were not decoded are 0; the same draws follow whatever was."""
    if said == EVERY_BIN:
        return output
    return replace(output, parameter=torch.nn.functional.pad(output.parameter, (0, 0, said.start, bins - said.stop)))


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
    quantiles: Sequence[float] = (),
    sample_batch: int = 1,
) -> Prediction:
    """The prior's continuation of the posterior, `ahead` bins beyond the observed ones.

    Args:
        module: a trained module whose decoder reads the latent path alone.
        trials: trials with the module's units and bins.
        ahead: bins of the recording's own width, counted from the last observed bin.
        n_samples: see `Sampling`, as `average`, `interval`, `seed`, `quantiles` and `sample_batch`. Where the equation's noise
            grows with its state, single samples carry the mean away: take `average="median"`.
        batch_size: trials at a time, at most.
        label: shown on a progress bar; empty for none.

    Raises:
        ConfigError: a setting is impossible, or the decoder reads the encoder's context as well.
        CheckpointError: the trials have other units or bins than the module.
    """
    sampling = Sampling(n_samples, average, interval, seed, quantiles, sample_batch)
    refuse_no_count("forecast", "ahead", ahead)
    if trials.targets is not None:
        raise ConfigError(
            "The model was trained on what is to be predicted at given times and forecasts no others: take run.predict, or "
            "train with data.task=forecast and those times ahead."
        )
    spec, steps = module.spec, np.arange(1, ahead + 1)

    def passes(batch: TrialBatch) -> Iterator[ModelOutput]:
        values, seen, times = inputs_of(module, batch)
        past = times[:, : values.shape[1]]
        future = past[:, -1:] + spec.bin_width_s * torch.arange(1, ahead + 1, device=times.device)
        for samples in sampling.passes:
            yield module.model.forecast(values, seen, past, future, samples)

    last = bin_times(spec, trials)[:, spec.observed_bins - 1 : spec.observed_bins]
    axes = coordinates(spec, trials, last + spec.bin_width_s * steps, 0)
    with sampled(module, seed):
        return gathered(module, trials, sampling, batch_size, label, passes, axes)


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


def listed(quantiles: Any) -> list[float]:
    """Probabilities in a list.

    Raises:
        ConfigError: they are none, such as a single number.
    """
    if not isinstance(quantiles, Sequence | np.ndarray) or not all(isinstance(p, Real) for p in quantiles):
        raise ConfigError(f"predict got quantiles={quantiles!r}; give a list of probabilities, such as [0.1, 0.9].")
    return [float(p) for p in quantiles]


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


def gathered(
    module: LatentDynamics,
    trials: Trials,
    sampling: Sampling,
    batch_size: int,
    label: str,
    passes: Callable[[TrialBatch], Iterable[ModelOutput]],
    axes: Coordinates,
) -> Prediction:
    """The prediction of all trials, batch by batch, behind a progress bar where there is a label."""
    refuse_no_count("predict", "batch_size", batch_size)
    if sampling.average == "median" and module.spec.n_classes:
        raise ConfigError("predict.average=median of probabilities does not sum to one over classes: set predict.average=rate.")
    at_once = sampling.trials_at_once(batch_size, axes.times.shape[1] * module.spec.target_dim)
    total = math.ceil(len(trials) / at_once) * math.ceil(sampling.n_samples / sampling.sample_batch)
    with progress(label, total) as advance:
        parts = [summarise(module, passes(b), sampling, advance) for b in batches(module, trials, at_once)]
    return join(parts, axes)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error that the function it gives moves on by one of `total`; none without a label."""
    if not label:
        yield lambda: None
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"predict {label}", total=total)
        yield lambda: bar.advance(task)


def batches(module: LatentDynamics, trials: Trials, batch_size: int) -> Iterator[TrialBatch]:
    """`trials` in batches.

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
    for start in range(0, len(dataset), batch_size):
        yield dataset.__getitems__(list(range(start, min(start + batch_size, len(dataset)))))


def bin_times(spec: DataSpec, trials: Trials) -> np.ndarray:
    """Time of each observed and forward bin, (trial, bin), in seconds; one row where trials share them."""
    return np.arange(spec.total_bins)[None] * spec.bin_width_s if trials.times is None else np.asarray(trials.times, np.float64)


def coordinates(spec: DataSpec, trials: Trials, times: np.ndarray, observed_bins: int) -> Coordinates:
    """What the axes of a prediction of `trials` stand for."""
    return Coordinates(
        times=times,
        bin_width_s=spec.bin_width_s,
        observed_bins=observed_bins,
        heldin=spec.observed_dim,
        n_classes=spec.n_classes,
        trial_id=trials.trial_id,
        condition=trials.condition,
        kind=spec.kind,
        names=trials.names,
        stamps=trials.stamps,
        rows=trials.rows,
        shown=trials.shown,
    )


def inputs_of(module: LatentDynamics, batch: TrialBatch) -> list[Tensor]:
    """What the model reads of a batch, on its device."""
    return [part.to(module.device) for part in (batch.values, batch.seen, batch.times)]


def summarise(
    module: LatentDynamics, passes: Iterable[ModelOutput], sampling: Sampling, advance: Callable[[], None]
) -> Prediction:
    """Averages and quantiles over passes through the model."""
    likelihood = module.model.likelihood
    expected: Callable[[Tensor], Tensor] = likelihood.log_mean if sampling.average == "log_rate" else likelihood.mean
    rates = latents = torch.zeros(())
    draws, means = [], []
    for output, samples in zip(passes, sampling.passes, strict=True):
        mean = expected(output.parameter).float().cpu().unflatten(0, (samples, -1))
        rates = rates + mean.sum(0) / sampling.n_samples
        latents = latents + output.latents.float().cpu().unflatten(0, (samples, -1)).sum(0) / sampling.n_samples
        if sampling.average == "median":
            means.append(mean.numpy())
        if sampling.probabilities:
            draws.append(likelihood.sample(output.parameter).float().cpu().unflatten(0, (samples, -1)).numpy())
        advance()
    if means:
        rates = torch.from_numpy(np.median(np.concatenate(means), axis=0))
    rates = rates.exp() if sampling.average == "log_rate" else rates
    return Prediction(rates.numpy(), latents.numpy(), **quantiles_of(draws, sampling))


def quantiles_of(draws: list[np.ndarray], sampling: Sampling) -> dict[str, Any]:
    """Quantiles of the observations, as fields of a `Prediction`."""
    if not draws:
        return {}
    # Weibull's rule covers what it says; numpy's own covers .85 instead of .9 at 32 samples.
    found = np.quantile(np.concatenate(draws), sampling.probabilities, axis=0, method="weibull").astype(np.float32)
    ends = {} if sampling.interval is None else {"lower": found[-2], "upper": found[-1]}
    return {"quantiles": dict(zip(map(float, sampling.quantiles), found, strict=False)), **ends}


def join(parts: list[Prediction], axes: Coordinates) -> Prediction:
    """The batches of a prediction, one after the other."""
    first = parts[0]
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("rates", "latents", "lower", "upper")
        if getattr(first, name) is not None
    }
    quantiles = {p: np.concatenate([part.quantiles[p] for part in parts]) for p in first.quantiles}
    return Prediction(**arrays, quantiles=quantiles, coordinates=axes)
