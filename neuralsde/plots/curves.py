"""How a run went."""

import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from neuralsde.errors import DataError
from neuralsde.plots.style import ACCENT, MODEL, TRUTH, new_figure, tidy

HIGHER_IS_BETTER = ("bps", "r2")
LEARNED = "learned/"
MOST_EPOCHS = 1e9


def read_metrics(path: str | Path) -> dict[str, np.ndarray]:
    """Columns of a `metrics.csv`, NaN where a row has no value; columns without numbers, and rows of no epoch, are left out.

    Raises:
        DataError: it is no table.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8", errors="replace") as file:
            table = csv.DictReader(file)
            rows, names = list(table), table.fieldnames or []
    except csv.Error as error:
        raise DataError(f"{path} is damaged ({error}): move it away to go on without it.") from error
    columns = {name: np.array([number(row[name]) for row in rows]) for name in names if rows}
    if "epoch" in columns:
        known = (columns["epoch"] >= 0) & (columns["epoch"] < MOST_EPOCHS)
        columns = {name: values[known] for name, values in columns.items()}
    return {name: values for name, values in columns.items() if not np.isnan(values).all()}


def number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def training_curves(columns: dict[str, np.ndarray], title: str = "") -> Figure:
    """One panel per quantity over epochs, `learned/…` left out; training and validation share a panel. A cross marks the best
    of a score.

    Args:
        columns: values by name, `epoch` and names such as `train/loss` and `val/co_bps`, all of one length; NaN where
            missing.
        title: of the figure.
    """
    epoch = columns["epoch"]
    panels: dict[str, dict[str, np.ndarray]] = {}
    for name, values in columns.items():
        if name not in ("epoch", "step") and not name.startswith(LEARNED):
            split, _, quantity = name.rpartition("/")
            panels.setdefault(quantity, {})[split] = values
    width = min(4, max(1, len(panels)))
    height = -(-len(panels) // width)
    figure = new_figure(0.4 + 2.1 * width, 0.6 + 1.6 * height, title)
    axes = figure.subplots(max(1, height), width, sharex=True, squeeze=False)
    for ax, (quantity, splits) in zip(axes.flat, panels.items(), strict=False):
        for split, values in splits.items():
            known = ~np.isnan(values)
            color = {"train": TRUTH, "val": MODEL}.get(split, ACCENT)
            ax.plot(epoch[known], values[known], color=color, lw=1.1, label=split or None)
            if quantity.endswith(HIGHER_IS_BETTER):
                best = np.nanargmax(values)
                ax.plot(epoch[best], values[best], "x", color=ACCENT, ms=5)
        tidy(ax, quantity.replace("_", " "), "epoch")
        ax.legend(fontsize=6, frameon=False)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    return figure


def learned_curves(columns: dict[str, np.ndarray], title: str = "") -> Figure:
    """One panel per learned quantity over epochs, a line for each of its components.

    Args:
        columns: values by name, `epoch` and names such as `learned/hurst/0`, all of one length; others are left out.
        title: of the figure.
    """
    panels: dict[str, list[np.ndarray]] = {}
    for name, values in columns.items():
        if name.startswith(LEARNED):
            panels.setdefault(name.removeprefix(LEARNED).rpartition("/")[0], []).append(values)
    width = min(3, max(1, len(panels)))
    height = -(-len(panels) // width)
    figure = new_figure(0.4 + 2.6 * width, 0.6 + 2.0 * height, title)
    axes = figure.subplots(max(1, height), width, squeeze=False)
    for ax, (quantity, lines) in zip(axes.flat, panels.items(), strict=False):
        for values in lines:
            known = ~np.isnan(values)
            ax.plot(columns["epoch"][known], values[known], color=MODEL, lw=1.0, alpha=0.8)
        if quantity.startswith("hurst"):
            ax.axhline(0.5, color=TRUTH, lw=0.8, ls=":")
            ax.set_ylim(0, 1)
        tidy(ax, quantity.replace("_", " "), "epoch")
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    return figure
