"""One look for all figures: colours that colour-blind readers tell apart, thin axes, no global state."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

TRUTH, MODEL, ACCENT = "#444444", "#0072B2", "#D55E00"
CATEGORIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", "#5B3A8C")
"""Okabe and Ito's colours, with grey and violet in place of black and yellow."""
SMALL, MEDIUM, LARGE = 7, 8, 10
"""Points: tick labels and legends; axis labels; figure titles."""


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """An empty figure, in inches; it belongs to no pyplot state, so nobody must close it."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
    if title:
        figure.suptitle(title, fontsize=LARGE)
    return figure


def condition_colors(n: int) -> list[tuple[float, ...] | str]:
    """`n` distinct colours: categories while they last, then a scale from dark to light."""
    return list(CATEGORIES[:n]) if n <= len(CATEGORIES) else [colormaps["viridis"](x) for x in np.linspace(0, 0.95, n)]


def tidy(ax: Axes, title: str = "", x: str = "", y: str = "") -> Axes:
    """Label an axes and take away what carries no data."""
    ax.set_title(title, fontsize=MEDIUM)
    ax.set_xlabel(x, fontsize=MEDIUM)
    ax.set_ylabel(y, fontsize=MEDIUM)
    ax.tick_params(labelsize=SMALL, width=0.6, length=2.5)
    for side, spine in ax.spines.items():
        spine.set_visible(side not in ("top", "right"))
        spine.set_linewidth(0.6)
    return ax


def legend(figure: Figure, looks: dict[str, dict]) -> None:
    """A legend below the panels: a name and the look of its line."""
    columns = int(figure.get_figwidth() / 1.15)
    lines = [Line2D([], [], **look) for look in looks.values()]
    figure.legend(
        lines,
        list(looks),
        loc="outside lower center",
        ncols=max(1, min(columns, len(lines))),
        fontsize=SMALL,
        frameon=False,
    )


def short_names(names: Sequence[str]) -> list[str]:
    """Names such as `type=1, version=0` without the parts that all of them share."""
    parts = [name.split(", ") for name in names]
    shared = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    return [", ".join(p for p in part if p not in shared) or name for part, name in zip(parts, names, strict=True)]


def bin_times(n_bins: int, bin_width_s: float) -> np.ndarray:
    """Middle of every bin since the start of the trial, in milliseconds."""
    return 1e3 * (np.arange(n_bins) + 0.5) * bin_width_s
