"""Scores as pure functions of plain arrays, equal to the Neural Latents Benchmark's definitions (arXiv 2109.04463).

None of them writes into its arguments, and all compute in float64.
"""

from neuralsde.metrics.conditions import psth_r2, tp_corr
from neuralsde.metrics.decoding import decode, vel_r2
from neuralsde.metrics.rates import rate_r2
from neuralsde.metrics.spikes import bits_per_spike, poisson_nll

__all__ = ["bits_per_spike", "decode", "poisson_nll", "psth_r2", "rate_r2", "tp_corr", "vel_r2"]
