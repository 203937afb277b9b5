r"""How well rates predict spike counts: Poisson likelihood and bits per spike.

Source: Pei et al. 2021 (arXiv 2109.04463), section 4; the definitions of nlb_tools' `evaluation.py`.
"""

import numpy as np
from scipy.special import gammaln

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics.checks import checked_rates, refuse_bad_rates

ZERO_RATE = 1e-9
"""Stands in for a rate of zero, whose logarithm is not finite; the benchmark's value."""


def poisson_nll(rates: np.ndarray, counts: np.ndarray) -> float:
    r"""Negative log-likelihood of counts, in nats, summed over all entries.

    $$\sum_i r_i - n_i \ln r_i + \ln\Gamma(n_i + 1)$$

    Args:
        rates: $r$, expected counts per bin, any shape; a zero is taken as `ZERO_RATE`.
        counts: $n$, counts per bin, same shape; NaN marks bins that are left out.

    Raises:
        NeuralSDEError: the shapes differ, or a rate is NaN, infinite or negative where a count is known.
    """
    rates = checked_rates(rates, np.shape(counts))
    known = ~np.isnan(counts)
    r, n = rates[known], np.asarray(counts, np.float64)[known]
    refuse_bad_rates(r)
    r = np.where(r == 0, ZERO_RATE, r)
    return float(np.sum(r - n * np.log(r) + gammaln(n + 1.0)))


def bits_per_spike(rates: np.ndarray, counts: np.ndarray) -> float:
    r"""Gain in log-likelihood over each neuron's mean rate, in bits per spike.

    $$\frac{\mathrm{NLL}(\bar n) - \mathrm{NLL}(r)}{\ln 2\, \sum n}$$

    On held-out neurons in observed bins this is *co-bps*; on all neurons in forward bins, *fp-bps*. The null model
    $\bar n$ is the mean of the very `counts` that are scored, so a constant fitted to training trials scores below
    zero. The score is normalised by the number of spikes: scores of batches or of neurons must not be averaged.

    Args:
        rates: $r$, expected counts per bin (not Hz), (trial, bin, neuron).
        counts: $n$, counts per bin, same shape; NaN marks bins that are left out.

    Raises:
        NeuralSDEError: as `poisson_nll`; or there is not one spike.
    """
    spikes = np.nansum(counts, dtype=np.float64)
    if spikes == 0:
        raise NeuralSDEError(f"Bits per spike need a spike, but the counts {np.shape(counts)} hold none.")
    axes = tuple(range(np.ndim(counts) - 1))
    known = np.count_nonzero(~np.isnan(counts), axis=axes, keepdims=True)  # 0 of a neuron that was not recorded here
    null = np.nansum(counts, axis=axes, dtype=np.float64, keepdims=True) / np.maximum(known, 1)
    null = np.broadcast_to(null, np.shape(counts))
    return float((poisson_nll(null, counts) - poisson_nll(rates, counts)) / spikes / np.log(2))
