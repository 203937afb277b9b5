"""How well mixtures of Gaussians tell what will be, in closed form: what a model's sampled paths with Gaussian noise are."""

import numpy as np
from scipy.special import logsumexp, ndtr


def mixture_nll(mean: np.ndarray, std: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    r"""$-\log \sum_s w_s\,\mathcal N(y; m_s, \sigma_s^2)$ in nats.

    Args:
        mean: $m$, (sample, …).
        std: $\sigma$, a shape that broadcasts to that of `mean`.
        y: (…).
        weight: $w$, likewise, with sum 1 over the samples; None for equal ones.
    """
    log_prob = -0.5 * ((y - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)
    return -logsumexp(log_prob, axis=0, b=weights(mean, weight))


def mixture_crps(mean: np.ndarray, std: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    r"""Continuous ranked probability score of the mixture, in the unit of `y`; arguments as `mixture_nll`.

    $$\sum_s w_s A(y - m_s, \sigma_s^2) - \frac12 \sum_{s, s'} w_s w_{s'} A(m_s - m_{s'}, \sigma_s^2 + \sigma_{s'}^2), \qquad
    A(d, v) = d\,(2 \Phi(d / \sqrt v) - 1) + 2 \sqrt v\,\phi(d / \sqrt v)$$

    Source: Grimit, Gneiting, Berrocal, Johnson 2006, "The continuous ranked probability score for circular variables and its
    application to mesoscale forecast ensemble verification", equation (5).
    """
    std, weight = np.broadcast_to(std, mean.shape), weights(mean, weight)
    apart = np.zeros(mean.shape[1:])
    for k in range(len(mean)):  # each pair once; with itself a sample makes half a pair
        pairs = weight[k:] * expected_distance(mean[k:] - mean[k], std[k:] ** 2 + std[k] ** 2)
        apart += weight[k] * (pairs.sum(0) - pairs[0] / 2)
    return (weight * expected_distance(y - mean, std**2)).sum(0) - apart


def expected_distance(d: np.ndarray, v: np.ndarray) -> np.ndarray:
    r"""$\mathrm E |X|$ of $X \sim \mathcal N(d, v)$."""
    sd = np.sqrt(v)
    z = d / sd
    return d * (2 * ndtr(z) - 1) + 2 * sd * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


def mixture_coverage(
    mean: np.ndarray, std: np.ndarray, y: np.ndarray, probability: float, weight: np.ndarray | None = None
) -> np.ndarray:
    """Whether each `y` lies in the central interval of that probability; arguments as `mixture_nll`."""
    below = (weights(mean, weight) * ndtr((y - mean) / std)).sum(0)
    return np.abs(below - 0.5) <= probability / 2


def weights(mean: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Of each sample, in the shape of `mean`."""
    return np.broadcast_to(1 / len(mean) if weight is None else weight, mean.shape)
