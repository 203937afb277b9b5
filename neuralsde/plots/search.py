"""How a hyperparameter search went: scores and settings of the trials over epochs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from neuralsde.plots.style import ACCENT, MODEL, SMALL, TRUTH, new_figure, tidy

Line = tuple[Sequence[float | int], Sequence[float | int]]
"""Epochs and values of a trial."""
LONG = 30
"""Letters of a name that is written in two lines."""


def search_scores(lines: Mapping[int, Line], best: int, name: str, higher: bool = True) -> Figure:
    """The score of each trial over epochs, and the best so far.

    Args:
        lines: epochs and scores by the number of the trial.
        best: the trial to stand out.
        name: of the score.
        higher: whether a higher one is better.
    """
    figure = new_figure(5.2, 3.2)
    ax = figure.subplots()
    for trial, (epochs, scores) in lines.items():
        look = {"color": ACCENT, "lw": 1.6, "zorder": 3} if trial == best else {"color": MODEL, "lw": 0.9, "alpha": 0.5}
        ax.plot(epochs, scores, marker="o", ms=3, label=f"trial {best}, the best" if trial == best else None, **look)
    points = sorted((e, s) for epochs, scores in lines.values() for e, s in zip(epochs, scores, strict=True) if np.isfinite(s))
    so_far = (np.maximum if higher else np.minimum).accumulate([score for _, score in points])
    ax.step([epoch for epoch, _ in points], so_far, color=TRUTH, lw=1.0, ls=":", where="post", label="best so far")
    tidy(ax, "", "epoch", name.replace("_", " "))
    ax.legend(fontsize=7, frameon=False)
    return figure


def search_settings(lines: Mapping[str, Mapping[int, Line]], best: Sequence[Line], log: Sequence[str] = ()) -> Figure:
    """One panel per setting: its values in each trial over epochs, and those that led to the winner.

    Args:
        lines: epochs at which a value began or ended and the values, by setting and trial.
        best: the same of the winner's history, in the order of `lines`.
        log: settings with a logarithmic axis.
    """
    width = min(3, len(lines))
    height = -(-len(lines) // width)
    figure = new_figure(0.4 + 2.6 * width, 0.5 + 1.7 * height)
    axes = figure.subplots(height, width, squeeze=False)
    for ax, (setting, trials), winner in zip(axes.flat, lines.items(), best, strict=False):
        for epochs, values in trials.values():
            ax.plot(epochs, values, color=MODEL, lw=0.9, alpha=0.4)
        ax.plot(*winner, color=ACCENT, lw=1.6)
        if setting in log:
            ax.set_yscale("log")
        ax.tick_params(which="minor", labelsize=SMALL)
        tidy(ax, setting if len(setting) < LONG else "\n".join(setting.rsplit(".", 1)), "epoch")
    for ax in axes.flat[len(lines) :]:
        ax.set_visible(False)
    return figure
