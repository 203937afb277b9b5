"""Decoded behaviour over the true one."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuralsde.plots.rates import spread
from neuralsde.plots.style import ACCENT, MEDIUM, MODEL, SMALL, TRUTH, bin_times, legend, new_figure, tidy

MOST_TRIALS, MOST_CHANNELS = 4, 3
"""Panels across and down."""
LOOKS = {
    "true": {"color": TRUTH, "lw": 2.4, "alpha": 0.35},
    "smoothed spikes": {"color": ACCENT, "lw": 0.9, "alpha": 0.8},
    "model": {"color": MODEL, "lw": 1.3},
}
"""Look of each line, by its name in the legend, drawn in this order."""


def decoded_traces(
    true: np.ndarray,
    model: np.ndarray,
    smoothed: np.ndarray | None,
    bin_width_s: float,
    channels: Sequence[str],
    r2: dict[str, float] | None = None,
    title: str = "",
) -> Figure:
    """True and decoded behaviour: a row per channel, a column per trial.

    Args:
        true: (trial, bin, channel), NaN where not recorded.
        model: decoded from the model, same shape.
        smoothed: decoded from smoothed spikes, same shape; None where there is no comparison.
        bin_width_s: in seconds.
        channels: names of the channels.
        r2: of the whole split, by the name of a line, for the legend.
        title: of the figure.
    """
    known = [i for i in range(len(true)) if not np.isnan(true[i]).all()]
    trials, rows = spread(known, MOST_TRIALS), range(min(true.shape[2], MOST_CHANNELS))
    figure = new_figure(0.7 + 1.65 * len(trials), 0.9 + 1.2 * len(rows), title)
    axes = figure.subplots(len(rows), len(trials), sharex=True, sharey="row", squeeze=False)
    lines = {"true": true, "smoothed spikes": smoothed, "model": model}
    time = bin_times(true.shape[1], bin_width_s)
    for row, channel in zip(axes, rows, strict=True):
        for ax, trial in zip(row, trials, strict=True):
            for name, values in lines.items():
                if values is not None:
                    ax.plot(time, values[trial, :, channel], **LOOKS[name])
            ax.axhline(0, color="0.8", lw=0.5, zorder=0)
            last = channel == rows[-1]
            tidy(ax, f"trial {trial}" if channel == 0 else "", "time in trial (ms)" if last else "")
        row[0].set_ylabel(channels[channel], fontsize=MEDIUM)
    scored = {name: f"{name} (R² {r2[name]:.2f})" if r2 and name in r2 else name for name in lines}
    legend(figure, {scored[name]: LOOKS[name] for name, values in lines.items() if values is not None})
    return figure


def decoded_directions(true: np.ndarray, model: np.ndarray, title: str = "") -> Figure:
    """Decoded over true direction, in degrees, a dot per bin; the line is where both agree.

    Args:
        true: in radians, any shape; NaN where there is none.
        model: decoded, same shape.
        title: of the figure.
    """
    known = ~np.isnan(true)
    angles = [np.rad2deg(np.angle(np.exp(1j * part[known]))) for part in (true, model)]
    figure = new_figure(3.4, 3.4, title)
    ax = figure.add_subplot()
    ax.plot([-180, 180], [-180, 180], color=TRUTH, lw=0.8)
    ax.plot(*angles, ".", color=MODEL, ms=2.5, alpha=0.5, mew=0)
    return square(figure, ax, [-180, -90, 0, 90, 180], "true direction (°)", "decoded direction (°)")


def decoded_values(true: np.ndarray, model: np.ndarray, channels: Sequence[str], title: str = "") -> Figure:
    """Decoded over true values of whole trials, a panel per channel, a dot per trial; the line is where both agree.

    Args:
        true: (trial, channel); NaN where there is none.
        model: decoded, same shape.
        channels: names of the channels.
        title: of the figure.
    """
    shown = range(min(len(channels), MOST_TRIALS))
    figure = new_figure(0.4 + 2.4 * len(shown), 2.8, title)
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for ax, channel in zip(axes, shown, strict=True):
        known = ~np.isnan(true[:, channel])
        x, y = true[known, channel], model[known, channel]
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        ax.plot(ends, ends, color=TRUTH, lw=0.8)
        ax.plot(x, y, "o", color=MODEL, ms=3, alpha=0.6, mew=0)
        tidy(ax, "", f"true {channels[channel]}", f"decoded {channels[channel]}")
    return figure


def square(figure: Figure, ax: Axes, ticks: Sequence[int], x: str, y: str) -> Figure:
    """Equal axes with the same ticks."""
    ax.set_xticks(ticks)
    ax.set_yticks(ticks)
    ax.set_aspect("equal")
    tidy(ax, "", x, y)
    return figure


def confusion(true: np.ndarray, named: np.ndarray, names: Sequence[str], title: str = "") -> Figure:
    """How often each condition is taken for which: shares of each true condition's trials.

    Args:
        true: index of each trial's condition, (trial,), -1 for none.
        named: the decoded ones, (trial,).
        names: of the conditions.
        title: of the figure.
    """
    n = len(names)
    table = np.zeros((n, n))
    np.add.at(table, (true[true >= 0].astype(int), named[true >= 0].astype(int)), 1)
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    figure = new_figure(1.6 + 0.32 * n, 1.2 + 0.32 * n, title)
    ax = figure.add_subplot()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if n <= 12:
        for (row, column), value in np.ndenumerate(share):
            if value >= 0.005:
                color = "white" if value > 0.6 else TRUTH
                ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=SMALL, color=color)
    ax.set_xticks(range(n), names, rotation=90 if n > 4 or max(map(len, names)) > 6 else 0)
    ax.set_yticks(range(n), names)
    return labelled(figure, ax)


def labelled(figure: Figure, ax: Axes) -> Figure:
    """The axes of a table of shares, without a frame."""
    tidy(ax, "", "decoded condition (% of trials)", "true condition")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return figure
