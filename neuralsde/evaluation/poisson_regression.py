"""Poisson regression of many outputs at once, as the baselines need it."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

MOST_LOG_RATE = 10.0
"""Log-rates above it are cut, so that a stray step of the line search cannot overflow."""


class PoissonFit(NamedTuple):
    """$r = \\exp(x w + b)$ with `weights` $w$, (input, output), and `bias` $b$, (output,), but at most `most`, (output,)."""

    weights: np.ndarray
    bias: np.ndarray
    most: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Rates (…, output) for inputs (…, input)."""
        return np.minimum(np.exp(np.minimum(x @ self.weights + self.bias, MOST_LOG_RATE)), self.most)


def fit_poisson(x: np.ndarray, y: np.ndarray, ridge: float, iterations: int = 60) -> PoissonFit:
    r"""The maximum of $\sum (y \ln r - r) - \frac{\mathrm{ridge}}{2} |w|^2$, with $w$ per standard deviation of $x$.

    All outputs are fitted together by L-BFGS in the inputs' principal axes, each scaled by its curvature at the mean
    rate. There the problem is almost isotropic, and some twenty steps suffice where scikit-learn would fit one output
    after the other. Rates are limited to the largest count that was fitted to: on inputs beyond those, an exponential runs off.

    Args:
        x: inputs, (row, input).
        y: counts, (row, output).
        ridge: penalty, the inverse variance of a Gaussian prior on the weights.
        iterations: most steps of L-BFGS.
    """
    centre, scale = x.mean(0), np.maximum(x.std(0), 1e-8)
    standard = (x - centre) / scale
    spread, axes = np.linalg.eigh(standard.T @ standard)
    z = np.column_stack([np.ones(len(x)), standard @ axes])
    mean = np.maximum(y.mean(0), 0.5 / len(y))  # a unit without a spike has no finite log-rate
    penalty = np.concatenate([[0.0], np.full(len(spread), ridge)])[:, None]
    unit = 1 / np.sqrt(np.concatenate([[len(x)], np.maximum(spread, 0)])[:, None] * mean + penalty)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(unit.shape) * unit
        log_rate = np.minimum(z @ w + np.log(mean), MOST_LOG_RATE)
        rate = np.exp(log_rate)
        gradient = z.T @ (rate - y) + penalty * w
        return float(np.sum(rate - y * log_rate) + np.sum(penalty * w**2) / 2), (gradient * unit).ravel()

    found = minimize(loss, np.zeros(unit.size), jac=True, method="L-BFGS-B", options={"maxiter": iterations})
    w = found.x.reshape(unit.shape) * unit
    weights = axes @ w[1:] / scale[:, None]
    return PoissonFit(weights, w[0] + np.log(mean) - centre @ weights, np.maximum(y.max(0), mean))
