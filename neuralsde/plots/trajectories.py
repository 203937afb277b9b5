"""Paths: of the latent state in its principal components, and of the hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuralsde.plots.style import MEDIUM, TRUTH, condition_colors, legend, new_figure, short_names, tidy

MOST_CONDITIONS = 16
"""Conditions that are drawn where there are more; beyond, paths hide each other."""
MOST_TRIALS = 6
"""Single trials that are drawn of each condition."""
MOST_ALIKE = 20
"""Single trials that are drawn where there are no conditions to tell them apart."""


def latent_trajectories(
    latents: np.ndarray, condition: np.ndarray | None = None, names: Sequence[str] = (), title: str = ""
) -> Figure:
    """The latent state in its first three principal components, coloured by condition; dots mark the start.

    Thick lines are means over a condition's trials, thin ones single trials. Without conditions, the first single trials alone.

    Args:
        latents: (trial, bin, latent), any unit.
        condition: index of each trial's condition, (trial,), -1 for none.
        names: of the conditions; in the legend where there are at most eight.
        title: of the figure.
    """
    path, share = principal_components(latents)
    groups = condition_groups(len(path), condition)
    figure = new_figure(4.6, 4.4, title)
    ax: Any = figure.add_subplot(projection="3d")
    colors = condition_colors(len(groups)) if condition is not None else [TRUTH]
    for trials, color in zip(groups.values(), colors, strict=True):
        for trial in path[trials[: MOST_TRIALS if condition is not None else MOST_ALIKE]]:
            ax.plot(*trial.T, color=color, lw=0.4, alpha=0.45)
        if condition is not None:
            mean = path[trials].mean(0)
            ax.plot(*mean.T, color=color, lw=1.6)
            ax.scatter(*mean[0], color=color, s=12)
    frame_components(ax, path, share)
    ax.set_box_aspect(None, zoom=1.1)
    name_conditions(figure, list(groups), colors, names)
    return figure


def frame_components(ax: Any, path: np.ndarray, labels: list[str]) -> None:
    """Axes without numbers, which a principal component does not need, and limits that a stray trial does not set."""
    low, high = np.quantile(path.reshape(-1, 3), (0.003, 0.997), axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-9)
    for i, name in enumerate("xyz"):
        axis = getattr(ax, f"{name}axis")
        getattr(ax, f"set_{name}lim")(low[i] - margin[i], high[i] + margin[i])
        axis.set_label_text(labels[i], fontsize=MEDIUM)
        axis.labelpad = -12
        axis.set_ticks([])
        axis.set_pane_color((0.96, 0.96, 0.96, 1.0))
    ax.grid(False)


def principal_components(latents: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """First three components, (trial, bin, 3), zero beyond the latent dimension; labels with shares of variance."""
    flat = latents.reshape(-1, latents.shape[-1]).astype(np.float64)
    flat = flat - flat.mean(0)
    _, scale, axes = np.linalg.svd(flat, full_matrices=False)
    share = scale**2 / max(float((scale**2).sum()), 1e-12)
    n = min(3, len(share))
    path = np.zeros((*latents.shape[:2], 3))
    path[..., :n] = (flat @ axes[:n].T).reshape(*latents.shape[:2], n)
    return path, [f"PC {i + 1} ({share[i]:.0%})" if i < n else "" for i in range(3)]


def hand_trajectories(
    velocity: np.ndarray,
    decoded: np.ndarray,
    bin_width_s: float,
    condition: np.ndarray | None = None,
    names: Sequence[str] = (),
    unit: str = "mm",
    title: str = "",
) -> Figure:
    """Hand paths, true beside decoded, from velocities summed over the trial; all start at the origin.

    Args:
        velocity: true velocity in `unit` per second, (trial, bin, 2 or more); a path ends at the first NaN.
        decoded: decoded velocity, same shape.
        bin_width_s: in seconds.
        condition: index of each trial's condition, (trial,), -1 for none.
        names: of the conditions; in the legend where there are at most eight.
        unit: of length.
        title: of the figure.
    """
    kept = ~np.isnan(velocity[:, :2]).any((1, 2))
    decoded = np.where(np.isnan(velocity), np.nan, decoded)
    condition = condition[kept] if condition is not None else None
    groups = condition_groups(int(kept.sum()), condition)
    colors = condition_colors(len(groups)) if condition is not None else [TRUTH]
    figure = new_figure(6.0, 4.0, title)
    axes: Sequence[Axes] = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, name, values in zip(axes, ("true", "decoded"), (velocity[kept], decoded[kept]), strict=True):
        path = np.cumsum(values[..., :2] * bin_width_s, axis=1)
        path = np.concatenate([np.zeros_like(path[:, :1]), path], axis=1)
        for trials, color in zip(groups.values(), colors, strict=True):
            for trial in path[trials]:
                ax.plot(*trial.T, color=color, lw=0.7, alpha=0.6)
        ax.plot(0, 0, "+", color=TRUTH, ms=7)
        ax.set_aspect("equal", adjustable="box")
        tidy(ax, f"{name} hand path", f"x ({unit})", f"y ({unit})" if name == "true" else "")
    name_conditions(figure, list(groups), colors, names)
    return figure


def condition_groups(n_trials: int, condition: np.ndarray | None) -> dict[int, np.ndarray]:
    """Trials of each condition that is drawn; one group of all trials where none has a condition."""
    if condition is None or not (condition >= 0).any():
        return {-1: np.arange(n_trials)}
    labels = np.unique(condition[condition >= 0])[:MOST_CONDITIONS]
    return {int(label): np.flatnonzero(condition == label) for label in labels}


def name_conditions(figure: Figure, labels: list[int], colors: list, names: Sequence[str]) -> None:
    """A legend, where names are given and few."""
    if names and len(labels) <= 8 and min(labels) >= 0 and max(labels) < len(names):
        names = short_names(names)
        legend(figure, {names[i]: {"color": c, "lw": 2.0} for i, c in zip(labels, colors, strict=True)})
