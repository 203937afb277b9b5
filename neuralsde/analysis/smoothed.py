"""Smoothed spikes, what every decoder's input is compared with."""

from dataclasses import replace

import numpy as np

from neuralsde.analysis.decode import Activity, Decoding, decode, numbers
from neuralsde.analysis.lags import bins_of, lagged
from neuralsde.analysis.ridge import fit_ridge
from neuralsde.analysis.targets import Target
from neuralsde.datamodules.trials import TrialData
from neuralsde.evaluation.smoothing import KERNEL_SDS_S, Choice, smooth
from neuralsde.metrics.labels import indicators


def smoothed(data: TrialData, kernel_sd_s: float) -> Activity:
    """Gaussian averages of what the model observes: counts (or values) of the held-in units."""
    spec = data.spec
    sd_bins = kernel_sd_s / spec.bin_width_s
    return Activity(*(smooth(indicators(t.heldin, spec.n_classes), sd_bins) for t in (data.train, data.eval)))


def decode_smoothed(
    data: TrialData, target: Target, decoder: str, lags_ms: tuple[float | int, ...], folds: int, seed: int
) -> Decoding:
    """What `decode` makes of smoothed spikes; the kernel is the one from which ridge regression decodes left-out training
    trials best (40 ms where the target is of the whole trial). Arguments as `decode`."""
    sds = [Choice().kernel_sd_s]
    if target.per_bin:
        sds = sorted(KERNEL_SDS_S, key=lambda sd: -validation_r2(data, target, sd, lags_ms, folds, seed))
    found = decode(smoothed(data, sds[0]), target, data.spec, "smoothed", decoder, lags_ms, folds, seed)
    return replace(found, chosen={**found.chosen, "kernel_sd_ms": 1e3 * sds[0]})


def validation_r2(
    data: TrialData, target: Target, kernel_sd_s: float, lags_ms: tuple[float | int, ...], folds: int, seed: int
) -> float:
    """R² on training trials that were left out, of spikes smoothed by this kernel."""
    spec = data.spec
    lags = bins_of(lags_ms, spec.bin_width_s, spec.longest_s is None, spec.observed_bins)
    features: np.ndarray = lagged(smoothed(data, kernel_sd_s).train, lags)
    return fit_ridge(features, numbers(target, target.train), folds, seed).validation_r2
