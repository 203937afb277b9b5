"""Forecasts of series behind what was known of them."""

from collections.abc import Mapping

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from neuralsde.plots.rates import spread
from neuralsde.plots.series import LOOKS
from neuralsde.plots.style import MEDIUM, MODEL, SMALL, legend, new_figure, tidy

DRAWN = {"series": 4, "channel": 4}
"""Panels down and across, at most."""


def fan(
    told: Mapping[str, np.ndarray], shown: Mapping[str, np.ndarray] | None = None, title: str = "", time_unit: str = ""
) -> Figure:
    """Values told of series, with their interval, and what was known: one row per series, one column per channel.

    Four series and four channels are drawn, spread over all.

    Args:
        told: columns `series`, `time`, `channel`, `mean` and, where there are any, `median` (drawn instead of the mean),
            `lower` and `upper`, as of `prediction.to_table()`.
        shown: columns `series`, `time`, `channel` and `value`, as of `run.read_series(…)` and `prediction.shown_table()`.
        title: of the figure.
        time_unit: of times that are numbers.
    """
    found = {key: list(dict.fromkeys(told[key].tolist())) for key in DRAWN}
    names, channels = ([found[key][k] for k in spread(range(len(found[key])), most)] for key, most in DRAWN.items())
    figure = new_figure(0.9 + max(3.6, 2.2 * len(channels)), 0.9 + 1.25 * len(names), title)
    axes = figure.subplots(len(names), len(channels), sharey="col", squeeze=False)
    dates, middle = told["time"].dtype.kind == "M", "median" if "median" in told else "mean"
    drawn = {"predicted"} | ({"interval"} if "lower" in told else set()) | (set() if shown is None else {"observed"})
    for row, name in zip(axes, names, strict=True):
        for ax, channel in zip(row, channels, strict=True):
            own = (told["series"] == name) & (told["channel"] == channel)
            time = told["time"][own]
            ax.plot(time, told[middle][own], marker=".", ms=3, **LOOKS["predicted"])
            if "lower" in told:
                ax.fill_between(time, told["lower"][own], told["upper"][own], color=MODEL, alpha=0.2, lw=0)
            if shown is not None:
                known = (shown["series"] == name) & (shown["channel"] == channel)
                ax.plot(shown["time"][known], shown["value"][known], **LOOKS["observed"])
            if dates:
                locator = AutoDateLocator(minticks=2, maxticks=5)
                ax.xaxis.set_major_locator(locator)
                ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
                ax.xaxis.get_offset_text().set_fontsize(SMALL)
            unit = f"time ({time_unit})" if time_unit and not dates else ""
            tidy(ax, channel if name == names[0] else "", unit if name == names[-1] else "")
        row[0].set_ylabel(name, fontsize=MEDIUM)
    legend(figure, {name: look for name, look in LOOKS.items() if name in drawn})
    return figure
