"""A flow and a potential on a plane, with the points at which the flow stands still and the paths that it carries."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuralsde.plots.style import MEDIUM, SMALL, TRUTH, condition_colors, legend, new_figure, short_names, tidy
from neuralsde.plots.trajectories import condition_groups

MARKS = {
    "stable": {"marker": "o", "mfc": "black", "mec": "black"},
    "saddle": {"marker": "o", "mfc": "white", "mec": "black"},
    "unstable": {"marker": "x", "mfc": "black", "mec": "black"},
    "marginal": {"marker": "D", "mfc": "0.7", "mec": "black"},
    "slow": {"marker": "s", "mfc": "none", "mec": "black"},
}
"""Look of each kind of point."""
PATHS = 3
"""Single trials that are drawn of each condition, beside its mean."""


def flow_field(
    x: np.ndarray,
    y: np.ndarray,
    vectors: np.ndarray,
    speed: np.ndarray,
    points: np.ndarray,
    kinds: Sequence[str],
    paths: np.ndarray | None = None,
    condition: np.ndarray | None = None,
    names: Sequence[str] = (),
    share: Sequence[float] = (),
    title: str = "",
) -> Figure:
    """Streamlines over the speed, points at which the flow stands still, and paths of the latents.

    Args:
        x: coordinates of the grid's columns, (column,), latent units.
        y: of its rows, (row,).
        vectors: the flow's components in the plane, (row, column, 2), latent units per second.
        speed: its speed, (row, column), latent units per second.
        points: in the plane, (point, 2); those off the grid are not drawn.
        kinds: of the points: stable, saddle, unstable, marginal or slow.
        paths: latents in the plane, (trial, bin, 2).
        condition: index of each trial's condition, (trial,), -1 for none.
        names: of the conditions; in the legend where there are at most eight.
        share: of variance along each axis.
        title: of the figure.
    """
    figure = new_figure(5.0, 4.6, title)
    ax = figure.add_subplot()
    fastest = max(float(speed.max()), 1e-12)
    image = ax.pcolormesh(x, y, speed, cmap="Greys", shading="gouraud", vmin=0, vmax=2.2 * fastest, zorder=0)
    width = 0.5 + 0.9 * speed / fastest
    ax.streamplot(x, y, vectors[..., 0], vectors[..., 1], color="0.5", linewidth=width, density=1.1, arrowsize=0.7, zorder=1)
    looks = {} if paths is None else draw_paths(ax, paths, condition, names)
    looks |= draw_points(ax, points, kinds, (x[0], x[-1]), (y[0], y[-1]))
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    labels = [f"PC {i + 1}" + (f" ({share[i]:.0%})" if len(share) > i else "") for i in range(2)]
    tidy(ax, "", *labels)
    bar = figure.colorbar(image, ax=ax, shrink=0.7, aspect=28, pad=0.02)
    bar.set_label("speed (latent units / s)", fontsize=MEDIUM)
    bar.ax.set_ylim(0, fastest)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2.5)
    bar.outline.set_linewidth(0.6)  # pyright: ignore[reportCallIssue]
    if looks:
        legend(figure, looks)
    return figure


def draw_paths(ax: Axes, paths: np.ndarray, condition: np.ndarray | None, names: Sequence[str]) -> dict[str, dict]:
    """Means of conditions, thick, with single trials; single trials alone where there are no conditions. Dots mark starts."""
    groups = condition_groups(len(paths), condition)
    colors = condition_colors(len(groups)) if condition is not None else [TRUTH]
    for trials, color in zip(groups.values(), colors, strict=True):
        for trial in paths[trials[: PATHS if condition is not None else 12]]:
            ax.plot(*trial.T, color=color, lw=0.5, alpha=0.5, zorder=2)
        if condition is not None:
            mean = paths[trials].mean(0)
            ax.plot(*mean.T, color=color, lw=1.8, zorder=3)
            ax.plot(*mean[0], "o", color=color, ms=3.5, zorder=3)
    if condition is None or not names or len(groups) > 8 or max(groups) >= len(names):
        return {}
    shown = short_names(names)
    return {shown[i]: {"color": color, "lw": 2.0} for i, color in zip(groups, colors, strict=True)}


def draw_points(
    ax: Axes, points: np.ndarray, kinds: Sequence[str], across: tuple[float, float], up: tuple[float, float]
) -> dict[str, dict]:
    """A mark for each point inside the frame; returns the looks of the kinds that were drawn."""
    drawn = {}
    for point, kind in zip(points, kinds, strict=True):
        if across[0] <= point[0] <= across[1] and up[0] <= point[1] <= up[1]:
            look = {**MARKS[kind], "ms": 7, "mew": 1.4, "lw": 0}
            ax.plot(*point, zorder=4, **look)
            drawn[kind] = {**look, "ms": 5, "mew": 1.1}
    return drawn


def potential_map(
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    minima: np.ndarray,
    share: Sequence[float] = (),
    title: str = "",
) -> Figure:
    """A potential as contours, with its minima.

    Args:
        x: coordinates of the grid's columns, (column,).
        y: of its rows, (row,).
        values: of the potential, in units of the temperature, (row, column).
        minima: in the plane, (minimum, 2); those off the grid are not drawn.
        share: of the positions' variance along each axis.
        title: of the figure.
    """
    figure = new_figure(4.8, 4.2, title)
    ax = figure.add_subplot()
    top = float(np.quantile(values, 0.97))
    levels = MaxNLocator(12).tick_values(float(values.min()), max(top, float(values.min()) + 1e-6))
    filled = ax.contourf(x, y, values, levels=levels, cmap="Blues_r", extend="max")
    ax.contour(x, y, values, levels=levels, colors="white", linewidths=0.4)
    looks = draw_points(ax, minima, ["stable"] * len(minima), (x[0], x[-1]), (y[0], y[-1]))
    tidy(ax, "", *(f"position PC {i + 1}" + (f" ({share[i]:.0%})" if len(share) > i else "") for i in range(2)))
    bar = figure.colorbar(filled, ax=ax, shrink=0.8, aspect=28, pad=0.02)
    bar.set_label("potential (units of temperature)", fontsize=MEDIUM)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2.5)
    bar.outline.set_linewidth(0.6)  # pyright: ignore[reportCallIssue]
    if looks:
        legend(figure, {"minimum": looks["stable"]})
    return figure
