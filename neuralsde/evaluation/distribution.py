"""How well a model's distribution over real values tells them: where it predicts values rather than follows a recording."""

import numpy as np

from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.trials import DataSpec, Trials, TrivialPrediction
from neuralsde.evaluation.predict import Sampling, batches, inputs_of, sampled
from neuralsde.likelihoods import AbstractGaussian
from neuralsde.metrics.mixtures import mixture_coverage, mixture_crps, mixture_nll
from neuralsde.training.module import LatentDynamics

PROBABILITY = 0.9
NAMES = ("mse", "crps", "nll", "coverage_90")


def trivial_scores(trials: Trials, spec: DataSpec, said: TrivialPrediction) -> dict[str, float]:
    """`distribution_scores` of a Gaussian around what a trivial predictor says."""
    truth = trials.in_units(stack_targets(trials, spec))
    known, stds = np.isfinite(truth), np.broadcast_to(said.std, truth.shape)
    mean, std, y = (part[known].astype(np.float64) for part in (said.mean, stds, truth))
    one = np.ones_like(y)
    return dict(zip(NAMES, (summed(mean[None], std[None], one[None], y, one) / len(y)).tolist(), strict=True))


def distribution_scores(
    module: LatentDynamics, trials: Trials, n_samples: int, seed: int = 0, batch_size: int = 256, sample_batch: int = 8
) -> dict[str, float]:
    """Scores of the mixture of what the sampled paths predict, over the values that are known, in the data's own unit.

    `mse` of its mean, `crps`, `nll` in nats per value and `coverage_90`, the share of values inside the central 90 % interval;
    none where the model's values are not Gaussian around each path.

    Args:
        module: a trained module.
        trials: with targets.
        n_samples: paths.
        seed: of the paths.
        batch_size: trials at a time.
        sample_batch: samples at a time.
    """
    likelihood, sampling = module.model.likelihood, Sampling(n_samples, seed=seed, sample_batch=sample_batch)
    if not isinstance(likelihood, AbstractGaussian):
        return {}
    truth, scale = stack_targets(trials, module.spec), 1.0 if trials.scale is None else trials.scale
    scale = np.broadcast_to(scale, truth.shape)
    sums, start = np.zeros(4), 0
    with sampled(module, seed):
        for batch in batches(module, trials, batch_size):
            y, unit = (part[start : start + len(batch.index)] for part in (truth, scale))
            start += len(batch.index)
            known, parts = ~np.isnan(y), []
            inputs = inputs_of(module, batch)
            context, evidence = module.model.encoder(*inputs), module.model.evidence(*inputs[:2])
            for samples in sampling.passes:
                output = module.model.sample(context, inputs[2], inputs[0].shape[1], samples, evidence=evidence)
                mean, std, weight = likelihood.components(output.parameter)
                spread = weight[:, None, None].expand_as(mean) / n_samples
                shape = -1, len(y), *y.shape[1:]
                parts.append([part.double().cpu().numpy().reshape(shape)[:, known] for part in (mean, std, spread)])
            mean, std, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
            sums += summed(mean, std, weight, y[known].astype(np.float64), unit[known])
    return dict(zip(NAMES, (sums / np.isfinite(truth).sum()).tolist(), strict=True))


def summed(mean: np.ndarray, std: np.ndarray, weight: np.ndarray, y: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The four scores of a batch, summed over its values.

    Args:
        mean: of each Gaussian, (component, value), as `std` and `weight`, in units of `unit`.
        std: see `mean`.
        weight: sums to 1 over the components.
        y: (value,), likewise.
        unit: of each value, in the data's own unit.
    """
    return np.array(
        [
            ((y - (weight * mean).sum(0)) ** 2 * unit**2).sum(),
            (mixture_crps(mean, std, y, weight) * unit).sum(),
            (mixture_nll(mean, std, y, weight) + np.log(unit)).sum(),
            mixture_coverage(mean, std, y, PROBABILITY, weight).sum(),
        ]
    )
