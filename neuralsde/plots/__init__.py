"""Figures: arrays in, matplotlib figures out. Nothing touches pyplot: no display is needed, and no closing."""

from neuralsde.plots.angles import angle_traces
from neuralsde.plots.curves import learned_curves, read_metrics, training_curves
from neuralsde.plots.decoded import confusion, decoded_directions, decoded_traces, decoded_values
from neuralsde.plots.eigenvalues import eigenvalue_plane
from neuralsde.plots.fan import fan
from neuralsde.plots.flow import flow_field, potential_map
from neuralsde.plots.frames import frames
from neuralsde.plots.raster import raster_and_rates
from neuralsde.plots.rates import condition_means, psth_grid, rates_vs_truth
from neuralsde.plots.search import search_scores, search_settings
from neuralsde.plots.series import series
from neuralsde.plots.trajectories import hand_trajectories, latent_trajectories

__all__ = [
    "angle_traces",
    "condition_means",
    "confusion",
    "decoded_directions",
    "decoded_traces",
    "decoded_values",
    "eigenvalue_plane",
    "fan",
    "flow_field",
    "frames",
    "hand_trajectories",
    "latent_trajectories",
    "learned_curves",
    "potential_map",
    "psth_grid",
    "raster_and_rates",
    "rates_vs_truth",
    "read_metrics",
    "search_scores",
    "search_settings",
    "series",
    "training_curves",
]
