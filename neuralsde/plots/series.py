"""Predicted series over what was recorded, trial by trial."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuralsde.plots.rates import spread
from neuralsde.plots.style import ACCENT, MEDIUM, MODEL, TRUTH, legend, new_figure, tidy

MOST_CHANNELS, MOST_TRIALS = 4, 3
"""Panels across and down."""
LOOKS = {
    "observed": {"color": TRUTH, "marker": "o", "ms": 2.2, "lw": 0},
    "recorded, not observed": {"color": TRUTH, "marker": "o", "ms": 2.6, "lw": 0, "mfc": "none", "mew": 0.6},
    "true": {"color": TRUTH, "lw": 2.2, "alpha": 0.4},
    "predicted": {"color": MODEL, "lw": 1.1},
    "interval": {"color": MODEL, "lw": 6.0, "alpha": 0.2},
    "forecast begins": {"color": ACCENT, "lw": 1.0, "ls": "--"},
}
"""Look of each part, by its name in the legend."""


def series(
    times: np.ndarray,
    values: np.ndarray,
    seen: np.ndarray,
    predicted: np.ndarray,
    truth: np.ndarray | None = None,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
    observed_bins: int | None = None,
    names: Sequence[str] = (),
    title: str = "",
    time_unit: str = "s",
    trial_names: Sequence[str] = (),
) -> Figure:
    """Recorded points, the true signal and the predicted mean: one row per trial, one column per channel.

    Three trials are drawn, spread over the split, and four channels, spread over all.

    Args:
        times: time of each bin, (trial, bin), in `time_unit`.
        values: recorded values, (trial, bin, channel); NaN where there are none.
        seen: which of them the model observed, same shape, bool.
        predicted: expected values, same shape.
        truth: true values without noise, same shape, where known.
        lower: lower ends of an interval around the prediction, same shape; None for no interval.
        upper: its upper ends.
        observed_bins: number of observed bins; a line stands between them and the forward ones.
        names: of the channels; by default their numbers.
        title: of the figure.
        time_unit: of the times.
        trial_names: by default their numbers; trials with names are series.
    """
    trials, channels = spread(range(len(values)), MOST_TRIALS), spread(range(values.shape[2]), MOST_CHANNELS)
    figure = new_figure(0.9 + max(3.6, 1.9 * len(channels)), 0.9 + 1.25 * len(trials), title)
    axes = figure.subplots(len(trials), len(channels), sharex=True, sharey="col", squeeze=False)
    drawn, clock = set(), f"time {'' if len(trial_names) else 'in trial '}({time_unit})"
    for row, trial in zip(axes, trials, strict=True):
        for ax, channel in zip(row, channels, strict=True):
            at = trial, slice(None), channel
            band = None if lower is None or upper is None else (lower[at], upper[at])
            true = None if truth is None else truth[at]
            drawn |= draw_panel(ax, times[trial], values[at], seen[at], predicted[at], true, band, observed_bins)
            name = names[channel] if names else f"channel {channel}"
            tidy(ax, name if trial == trials[0] else "", clock if trial == trials[-1] else "")
        row[0].set_ylabel(trial_names[trial] if len(trial_names) else f"trial {trial}", fontsize=MEDIUM)
    legend(figure, {name: look for name, look in LOOKS.items() if name in drawn})
    return figure


def draw_panel(
    ax: Axes,
    time: np.ndarray,
    values: np.ndarray,
    seen: np.ndarray,
    predicted: np.ndarray,
    truth: np.ndarray | None,
    band: tuple[np.ndarray, np.ndarray] | None,
    observed_bins: int | None,
) -> set[str]:
    """One channel of one trial, arguments (bin,); returns the names of the parts drawn."""
    lines = {"true": truth, "predicted": predicted}
    parts = {name: (time, line) for name, line in lines.items() if line is not None}
    for name, chosen in (("observed", seen), ("recorded, not observed", ~seen & ~np.isnan(values))):
        if chosen.any():
            parts[name] = (time[chosen], values[chosen])
    for name, (x, y) in parts.items():
        ax.plot(x, y, **LOOKS[name])
    drawn = set(parts)
    if band is not None:
        ax.fill_between(time, *band, color=MODEL, alpha=0.2, lw=0)
        drawn.add("interval")
    if observed_bins is not None and 0 < observed_bins < len(time):
        ax.axvline(time[observed_bins - 1 : observed_bins + 1].mean(), **LOOKS["forecast begins"])
        drawn.add("forecast begins")
    return drawn
