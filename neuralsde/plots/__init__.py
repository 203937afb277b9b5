"""Figures: arrays in, matplotlib figures out. Nothing touches pyplot: no display is needed, and no closing."""

from neuralsde.plots.angles import angle_traces
from neuralsde.plots.curves import learned_curves, read_metrics, training_curves
from neuralsde.plots.frames import frames
from neuralsde.plots.raster import raster_and_rates
from neuralsde.plots.rates import condition_means, psth_grid, rates_vs_truth
from neuralsde.plots.series import series
from neuralsde.plots.trajectories import hand_trajectories, latent_trajectories

__all__ = [
    "angle_traces",
    "condition_means",
    "frames",
    "hand_trajectories",
    "latent_trajectories",
    "learned_curves",
    "psth_grid",
    "raster_and_rates",
    "rates_vs_truth",
    "read_metrics",
    "series",
    "training_curves",
]
