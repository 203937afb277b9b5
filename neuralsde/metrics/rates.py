"""How close inferred rates are to true ones, where a simulation knows them."""

from typing import NamedTuple

import numpy as np

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics.checks import checked_rates, refuse_bad_rates

FLOOR = 1e-6
"""Least rate, in counts per bin, whose logarithm is compared; far below all rates that we make or read."""


class RateR2(NamedTuple):
    """R² of log-rates: `pooled` over neurons, and the `uniform` average over neurons."""

    pooled: float
    uniform: float


def rate_r2(rates: np.ndarray, truth: np.ndarray, floor: float = FLOOR) -> RateR2:
    r"""R² of inferred log-rates against true log-rates.

    $$R^2_\mathrm{pooled} = 1 - \frac{\sum_{n,i} (\ln r_{ni} - \ln \hat r_{ni})^2}
        {\sum_{n,i} (\ln r_{ni} - \overline{\ln r_n})^2}$$

    with each neuron's own mean in the denominator, so that knowing only the mean rates scores 0 (pooling around one
    common mean would credit them). The uniform average takes the ratio per neuron first: weakly modulated neurons then
    count as much as strong ones.

    Args:
        rates: $\hat r$, inferred counts per bin, (trial, bin, neuron).
        truth: $r$, true expected counts per bin, same shape.
        floor: rates below it, zeros among them, are compared as if they were `floor`, on both sides.

    Raises:
        NeuralSDEError: the shapes differ, a rate is NaN, infinite or negative, or some true rate never varies.

    Source: Ye & Pandarinath 2021 (arXiv 2108.01210) score log-rates on Lorenz data in this way.
    """
    rates, truth = checked_rates(rates, np.shape(truth)), np.asarray(truth, np.float64)
    refuse_bad_rates(rates)
    true = np.log(np.maximum(truth, floor)).reshape(-1, truth.shape[-1])
    error = true - np.log(np.maximum(rates, floor)).reshape(true.shape)
    residual, total = (error**2).sum(0), ((true - true.mean(0)) ** 2).sum(0)
    if not (total > 0).all():
        raise NeuralSDEError(f"{np.count_nonzero(total == 0)} of {len(total)} true rates never vary; R² is not defined.")
    return RateR2(float(1 - residual.sum() / total.sum()), float(np.mean(1 - residual / total)))
