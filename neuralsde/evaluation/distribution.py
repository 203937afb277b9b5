"""How well a model's distribution over real values tells them: where it predicts values rather than follows a recording."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.trials import DataSpec, Trials, TrivialPrediction
from neuralsde.evaluation.predict import Sampling, batches, inputs_of, sampled
from neuralsde.likelihoods import AbstractGaussian
from neuralsde.metrics.mixtures import mixture_coverage, mixture_crps, mixture_nll
from neuralsde.training.module import LatentDynamics

PROBABILITY = 0.9
NAMES = ("mse", "crps", "nll", "coverage_90")


class Sums(NamedTuple):
    """Scores summed over the known values of each channel.

    Args:
        total: in the order of `NAMES`, (score, channel).
        known: values, (channel,).
    """

    total: np.ndarray
    known: np.ndarray

    def pooled(self, deviations: np.ndarray | None = None) -> dict[str, float]:
        """Means over the values of all channels; where these are in units of their own, `scaled_mse` and `scaled_crps`, in
        `deviations` of each, (channel,)."""
        if deviations is None:
            return dict(zip(NAMES, (self.total.sum(1) / self.known.sum()).tolist(), strict=True))
        units = np.stack([deviations**2, deviations, np.ones_like(deviations), np.ones_like(deviations)])
        names = ("scaled_mse", "scaled_crps", *NAMES[2:])
        return dict(zip(names, ((self.total / units).sum(1) / self.known.sum()).tolist(), strict=True))

    def by_channel(self, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """Means of each channel, and its `rmse`; of a channel of which no value is known nothing."""
        found = {}
        for name, total, known in zip(names, self.total.T, self.known, strict=True):
            if known:
                own = dict(zip(NAMES, (total / known).tolist(), strict=True))
                found[name] = {"rmse": own["mse"] ** 0.5, **own}
        return found


def trivial_sums(trials: Trials, spec: DataSpec, said: TrivialPrediction) -> Sums:
    """`distribution_sums` of a Gaussian around what a trivial predictor says."""
    truth = trials.in_units(stack_targets(trials, spec))
    known, stds = np.isfinite(truth), np.broadcast_to(said.std, truth.shape)
    mean, std, y = (part[known].astype(np.float64) for part in (said.mean, stds, truth))
    one = np.ones_like(y)
    return Sums(of_channels(scored(mean[None], std[None], one[None], y, one), known), known.sum((0, 1)))


def distribution_scores(
    module: LatentDynamics, trials: Trials, n_samples: int, seed: int = 0, batch_size: int = 256, sample_batch: int = 8
) -> dict[str, float]:
    """`distribution_sums` over the values of all channels; empty where there are none."""
    sums = distribution_sums(module, trials, n_samples, seed, batch_size, sample_batch)
    return {} if sums is None else sums.pooled()


def distribution_sums(
    module: LatentDynamics,
    trials: Trials,
    n_samples: int,
    seed: int = 0,
    batch_size: int = 256,
    sample_batch: int = 8,
    factor: np.ndarray | float = 1.0,
) -> Sums | None:
    """Scores of the mixture of what the sampled paths predict, over the values that are known, in the data's own unit.

    `mse` of its mean, `crps`, `nll` in nats per value and `coverage_90`, the share of values inside the central 90 % interval;
    None where the model's values are not Gaussian around each path.

    Args:
        module: a trained module.
        trials: with targets.
        n_samples: paths.
        seed: of the paths.
        batch_size: trials at a time.
        sample_batch: samples at a time.
        factor: by which the mixture is wider around its mean, as `Calibration` has it, a shape that broadcasts to (trial, bin,
            channel).
    """
    likelihood, sampling = module.model.likelihood, Sampling(n_samples, seed=seed, sample_batch=sample_batch)
    if not isinstance(likelihood, AbstractGaussian):
        return None
    truth, scale = stack_targets(trials, module.spec), 1.0 if trials.scale is None else trials.scale
    scale, factor = np.broadcast_to(scale, truth.shape), np.broadcast_to(factor, truth.shape)
    total, start = np.zeros((len(NAMES), truth.shape[2])), 0
    with sampled(module, seed):
        for batch in batches(module, trials, batch_size):
            y, unit, wider = (part[start : start + len(batch.index)] for part in (truth, scale, factor))
            start += len(batch.index)
            known, parts = ~np.isnan(y), []
            inputs = inputs_of(module, batch)
            context, evidence = module.model.encode(*inputs), module.model.evidence(*inputs[:2])
            for samples in sampling.passes:
                output = module.model.sample(context, inputs[2], inputs[0].shape[1], samples, evidence=evidence)
                mean, std, weight = likelihood.components(output.parameter)
                spread = weight[:, None, None].expand_as(mean) / n_samples
                shape = -1, len(y), *y.shape[1:]
                parts.append([part.double().cpu().numpy().reshape(shape)[:, known] for part in (mean, std, spread)])
            mean, std, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
            centre = (weight * mean).sum(0)
            mean, std = centre + wider[known] * (mean - centre), wider[known] * std
            total += of_channels(scored(mean, std, weight, y[known].astype(np.float64), unit[known]), known)
    return Sums(total, np.isfinite(truth).sum((0, 1)))


def of_channels(scores: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Scores of known values (score, value) summed over each channel, (score, channel); `known` is (trial, bin, channel)."""
    channel = np.nonzero(known)[2]
    return np.stack([np.bincount(channel, weights=row, minlength=known.shape[2]) for row in scores])


def scored(mean: np.ndarray, std: np.ndarray, weight: np.ndarray, y: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The four scores of each value, (score, value).

    Args:
        mean: of each Gaussian, (component, value), as `std` and `weight`, in units of `unit`.
        std: see `mean`.
        weight: sums to 1 over the components.
        y: (value,), likewise.
        unit: of each value, in the data's own unit.
    """
    return np.stack(
        [
            (y - (weight * mean).sum(0)) ** 2 * unit**2,
            mixture_crps(mean, std, y, weight) * unit,
            mixture_nll(mean, std, y, weight) + np.log(unit),
            mixture_coverage(mean, std, y, PROBABILITY, weight),
        ]
    )
