"""How well samples and intervals tell what will be: for predictions that are distributions."""

import math

import numpy as np
from scipy.special import erf

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics.checks import checked_rates, refuse_not_finite


def crps(samples: np.ndarray, y: np.ndarray) -> float:
    r"""Continuous ranked probability score, averaged over entries; in the unit of `y`, the less the better.

    $$\frac1S \sum_s |x_s - y| - \frac{1}{2 S^2} \sum_{s,s'} |x_s - x_{s'}|$$

    With one sample it is the absolute error. The second sum is computed from the sorted samples in $O(S \log S)$. It
    contains the pairs $s = s'$, so that few samples score worse than the distribution that they come from, by
    $\frac{1}{2S}\, \mathbb E |x - x'|$.

    Args:
        samples: $x$, (sample, …).
        y: (…), such as (trial, bin, channel); NaN marks entries that are left out.

    Raises:
        NeuralSDEError: the shapes do not fit, a sample is not finite where `y` is known, or no `y` is known.

    Source: Gneiting & Raftery 2007, "Strictly proper scoring rules, prediction, and estimation", equation (21).
    """
    n = len(samples)
    x, y = known_columns(samples, y)
    rank = np.arange(1, n + 1)[:, None]
    pairs = ((2 * rank - n - 1) * np.sort(x, axis=0)).sum(0) / n**2
    return float((np.abs(x - y).mean(0) - pairs).mean())


def gaussian_crps(mean: np.ndarray, std: np.ndarray, y: np.ndarray) -> float:
    r"""The same score of Gaussian predictions, in closed form.

    $$\sigma \left( z\,(2\Phi(z) - 1) + 2\varphi(z) - \pi^{-1/2} \right), \qquad z = (y - \mu) / \sigma$$

    Args:
        mean: $\mu$, (…).
        std: $\sigma$, above 0, same shape.
        y: same shape; NaN marks entries that are left out.

    Raises:
        NeuralSDEError: the shapes differ, a prediction is not finite or has no width where `y` is known, or no `y` is known.

    Source: Gneiting & Raftery 2007, equation (22), with the sign that makes less better.
    """
    mu, sigma, y = known_gaussians(mean, std, y)
    z = (y - mu) / sigma
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return float((sigma * (z * erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))).mean())


def gaussian_nll(mean: np.ndarray, std: np.ndarray, y: np.ndarray) -> float:
    """Negative log-density of Gaussian predictions in nats, averaged over entries; arguments and errors as `gaussian_crps`."""
    mu, sigma, y = known_gaussians(mean, std, y)
    return float((((y - mu) / sigma) ** 2 / 2 + np.log(sigma)).mean() + math.log(2 * math.pi) / 2)


def known_gaussians(mean: np.ndarray, std: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, deviations and values (entry,) of the entries whose value is known, in float64."""
    shape = np.shape(y)
    (mu, sigma), y = known_columns(np.stack([checked_rates(mean, shape, "means"), checked_rates(std, shape, "deviations")]), y)
    if not (sigma > 0).all():
        raise NeuralSDEError(f"A predicted standard deviation is {sigma.min():g}; give deviations above 0.")
    return mu, sigma, y


def coverage(lower: np.ndarray, upper: np.ndarray, y: np.ndarray) -> float:
    """Share of the known `y` that lie between `lower` and `upper`, bounds included.

    Args:
        lower: lower ends, (…).
        upper: upper ends, same shape.
        y: same shape; NaN marks entries that are left out.

    Raises:
        NeuralSDEError: the shapes differ, an end is not finite where `y` is known, or no `y` is known.
    """
    shape = np.shape(y)
    ends = np.stack([checked_rates(lower, shape, "lower ends"), checked_rates(upper, shape, "upper ends")])
    (low, high), y = known_columns(ends, y)
    return float(((low <= y) & (y <= high)).mean())


def known_columns(samples: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples (sample, entry) and values (entry,) of the entries whose value is known, in float64."""
    x = checked_rates(samples, (len(samples), *np.shape(y)), "samples")
    known = ~np.isnan(y)
    if not len(x) or not known.any():
        raise NeuralSDEError(f"There are {len(x)} samples and {np.count_nonzero(known)} known values; give one of each.")
    refuse_not_finite(x[:, known], "samples")
    return x[:, known], np.asarray(y, np.float64)[known]
