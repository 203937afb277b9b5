"""Scores as pure functions of plain arrays; those of spikes equal the Neural Latents Benchmark's (arXiv 2109.04463).

None of them writes into its arguments, and all compute in float64.
"""

from neuralsde.metrics.angles import angle_error, decoded_angle_error
from neuralsde.metrics.conditions import psth_r2, tp_corr
from neuralsde.metrics.decoding import decode, vel_r2
from neuralsde.metrics.divergence import knn_kl
from neuralsde.metrics.hurst import hurst_likelihood, hurst_rescaled_range, hurst_variations, hurst_wavelet
from neuralsde.metrics.intervals import coverage, crps, gaussian_crps, gaussian_nll
from neuralsde.metrics.labels import accuracy, auroc, calibration_error, log_loss
from neuralsde.metrics.rates import rate_r2
from neuralsde.metrics.signals import pooled_r2, rmse, state_r2
from neuralsde.metrics.spikes import bits_per_spike, poisson_nll

__all__ = [
    "accuracy",
    "angle_error",
    "auroc",
    "bits_per_spike",
    "calibration_error",
    "coverage",
    "crps",
    "decode",
    "decoded_angle_error",
    "gaussian_crps",
    "gaussian_nll",
    "hurst_likelihood",
    "hurst_rescaled_range",
    "hurst_variations",
    "hurst_wavelet",
    "knn_kl",
    "log_loss",
    "poisson_nll",
    "pooled_r2",
    "psth_r2",
    "rate_r2",
    "rmse",
    "state_r2",
    "tp_corr",
    "vel_r2",
]
