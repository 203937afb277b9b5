"""Eigenvalues of a flow near the points at which it stands still."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from neuralsde.plots.flow import MARKS
from neuralsde.plots.style import TRUTH, condition_colors, legend, new_figure, tidy

MOST_POINTS = 6
"""Points that are drawn where there are more."""


def eigenvalue_plane(eigenvalues: Sequence[np.ndarray], kinds: Sequence[str], title: str = "") -> Figure:
    """Growth across, frequency up: left of the line a deviation decays, right of it it grows.

    Args:
        eigenvalues: of each point's Jacobian, (state,), complex, per second.
        kinds: of the points: stable, saddle, unstable, marginal or slow.
        title: of the figure.
    """
    figure = new_figure(4.6, 3.6, title)
    ax = figure.add_subplot()
    colors, looks = condition_colors(MOST_POINTS), {}
    shown = list(zip(eigenvalues, kinds, colors, strict=False))[:MOST_POINTS]
    for number, (values, kind, color) in enumerate(shown, start=1):
        # Smaller from point to point, so that one does not hide another of the same eigenvalue.
        size = 7.5 - 0.8 * number
        look = {"color": color, "marker": MARKS[kind]["marker"], "lw": 0, "ms": size, "mec": "white", "mew": 0.4}
        look |= {"mec": color, "mew": 1.2} if kind == "unstable" else {}
        ax.plot(np.real(values), np.imag(values) / (2 * np.pi), **look)
        looks[f"{number}: {kind}"] = look
    growth = np.concatenate([np.zeros(1), *(np.real(values) for values, *_ in shown)])
    reach = 1.15 * float(np.abs(growth).max()) or 1.0
    low, high = min(1.15 * float(growth.min()), -reach / 4), max(1.15 * float(growth.max()), reach / 4)
    ax.set_xlim(low, high)
    ax.axvspan(low, 0, color="0.96", zorder=0)
    ax.axvline(0, color=TRUTH, lw=0.8, zorder=1)
    ax.axhline(0, color=TRUTH, lw=0.4, zorder=1)
    ax.text(0.02, 0.02, "decays", transform=ax.transAxes, fontsize=7, color="0.4")
    ax.text(0.98, 0.02, "grows", transform=ax.transAxes, fontsize=7, color="0.4", ha="right")
    tidy(ax, "", "growth (1 / s)", "frequency (Hz)")
    if looks:
        legend(figure, looks)
    return figure
