"""Directions over time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from neuralsde.plots.rates import spread
from neuralsde.plots.style import MODEL, TRUTH, legend, new_figure, tidy


def angle_traces(
    true: np.ndarray, decoded: np.ndarray, times: np.ndarray, names: Sequence[str], n_trials: int = 4, title: str = ""
) -> Figure:
    """True and decoded directions: one column per trial, spread over the split, one row per direction.

    Args:
        true: in degrees, -180 to 180, (trial, bin, direction); NaN where unknown.
        decoded: the same, decoded.
        times: time of each bin, (trial, bin), in seconds.
        names: of the directions.
        n_trials: trials that are drawn.
        title: of the figure.
    """
    trials = spread(list(range(len(true))), n_trials)
    figure = new_figure(0.8 + 2.3 * len(trials), 0.9 + 1.7 * len(names), title)
    axes = figure.subplots(len(names), len(trials), sharey=True, squeeze=False)
    looks = {"true": {"color": TRUTH, "lw": 2.2, "alpha": 0.4}, "decoded": {"color": MODEL, "lw": 1.1}}
    for row, (line, name) in enumerate(zip(axes, names, strict=True)):
        for ax, trial in zip(line, trials, strict=True):
            for values, look in zip((true, decoded), looks.values(), strict=True):
                ax.plot(times[trial], unbroken(values[trial, :, row]), **look)
            first, last = trial == trials[0], row == len(names) - 1
            tidy(ax, f"trial {trial}" if row == 0 else "", "time in trial (s)" if last else "", f"{name} (°)" if first else "")
            ax.set_ylim(-185, 185)
            ax.set_yticks([-180, -90, 0, 90, 180])
    legend(figure, looks)
    return figure


def unbroken(angle: np.ndarray) -> np.ndarray:
    """Degrees with NaN where the direction passes ±180, lest a line cross the whole panel there."""
    jumps = np.abs(np.diff(angle, prepend=angle[:1])) > 180
    return np.where(jumps, np.nan, angle)
