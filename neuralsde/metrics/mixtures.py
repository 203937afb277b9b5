"""How well mixtures of Gaussians tell what will be, in closed form: what a model's sampled paths with Gaussian noise are."""

import numpy as np
from scipy.special import logsumexp, ndtr


def mixture_nll(mean: np.ndarray, std: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""$-\log \frac1S \sum_s \mathcal N(y; m_s, \sigma_s^2)$ in nats.

    Args:
        mean: $m$, (sample, …).
        std: $\sigma$, a shape that broadcasts to that of `mean`.
        y: (…).
    """
    log_prob = -0.5 * ((y - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)
    return np.log(len(mean)) - logsumexp(log_prob, axis=0)


def mixture_crps(mean: np.ndarray, std: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""Continuous ranked probability score of the mixture, in the unit of `y`; arguments as `mixture_nll`.

    $$\frac1S \sum_s A(y - m_s, \sigma_s^2) - \frac{1}{2 S^2} \sum_{s, s'} A(m_s - m_{s'}, \sigma_s^2 + \sigma_{s'}^2), \qquad
    A(d, v) = d\,(2 \Phi(d / \sqrt v) - 1) + 2 \sqrt v\,\phi(d / \sqrt v)$$

    Source: Grimit, Gneiting, Berrocal, Johnson 2006, "The continuous ranked probability score for circular variables and its
    application to mesoscale forecast ensemble verification", equation (5).
    """
    std = np.broadcast_to(std, mean.shape)
    apart = sum(expected_distance(m - mean, s**2 + std**2).mean(0) for m, s in zip(mean, std, strict=True))
    return expected_distance(y - mean, std**2).mean(0) - apart / (2 * len(mean))


def expected_distance(d: np.ndarray, v: np.ndarray) -> np.ndarray:
    r"""$\mathrm E |X|$ of $X \sim \mathcal N(d, v)$."""
    sd = np.sqrt(v)
    z = d / sd
    return d * (2 * ndtr(z) - 1) + 2 * sd * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


def mixture_coverage(mean: np.ndarray, std: np.ndarray, y: np.ndarray, probability: float) -> np.ndarray:
    """Whether each `y` lies in the central interval of that probability; arguments as `mixture_nll`."""
    below = ndtr((y - mean) / std).mean(0)
    return np.abs(below - 0.5) <= probability / 2
