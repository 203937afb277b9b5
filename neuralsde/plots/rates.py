"""Inferred rates over true ones, trial by trial or averaged over conditions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from neuralsde.plots.style import MODEL, TRUTH, bin_times, condition_colors, legend, new_figure, short_names, tidy


def rates_vs_truth(
    rates: np.ndarray,
    truth: np.ndarray,
    bin_width_s: float,
    units: Sequence[int] | None = None,
    trials: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """Inferred over true rates: one row per trial, one column per unit.

    Args:
        rates: inferred counts per bin, (trial, bin, unit).
        truth: true counts per bin, same shape.
        bin_width_s: in seconds.
        units: columns; by default four, from the most to the least modulated.
        trials: rows; by default three, spread over the split.
        title: of the figure.
    """
    units = spread(strongest(np.log(np.maximum(truth, 1e-6)).std((0, 1))), 4) if units is None else units
    trials = spread(list(range(len(rates))), 3) if trials is None else trials
    figure = new_figure(0.6 + 1.8 * len(units), 0.9 + 1.2 * len(trials), title)
    axes = figure.subplots(len(trials), len(units), sharex=True, sharey="col", squeeze=False)
    time = bin_times(rates.shape[1], bin_width_s)
    looks = {"true": {"color": TRUTH, "lw": 2.2, "alpha": 0.4}, "inferred": {"color": MODEL, "lw": 1.1}}
    for row, trial in zip(axes, trials, strict=True):
        for ax, unit in zip(row, units, strict=True):
            ax.plot(time, truth[trial, :, unit] / bin_width_s, **looks["true"])
            ax.plot(time, rates[trial, :, unit] / bin_width_s, **looks["inferred"])
            last = trial == trials[-1]
            tidy(ax, f"unit {unit}" if trial == trials[0] else "", "time in trial (ms)" if last else "")
        row[0].set_ylabel(f"trial {trial}\nrate (Hz)", fontsize=row[0].xaxis.label.get_size())
    for ax, unit in zip(axes[0], units, strict=True):
        most = max(float(values[list(trials), :, unit].max()) for values in (rates, truth))
        ax.set_ylim(0, 1.05 * most / bin_width_s)
    legend(figure, looks)
    return figure


def psth_grid(
    psth: np.ndarray,
    predicted: np.ndarray,
    bin_width_s: float,
    names: Sequence[str] = (),
    units: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """Condition averages of the data (pale) and of inferred rates (full): a panel per unit, a colour per condition.

    Args:
        psth: counts per bin, (condition, bin, unit), NaN where unknown.
        predicted: inferred rates averaged over each condition's trials, same shape.
        bin_width_s: in seconds.
        names: of the conditions; in the legend where there are at most eight.
        units: panels; by default eight, those whose PSTHs vary most.
        title: of the figure.
    """
    units = strongest(np.nanstd(psth, axis=(0, 1)))[:8] if units is None else units
    columns = min(4, len(units))
    rows = -(-len(units) // columns)
    figure = new_figure(0.6 + 1.8 * columns, 0.9 + 1.5 * rows, title)
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    time, colors = bin_times(psth.shape[1], bin_width_s), condition_colors(len(psth))
    for index, (ax, unit) in enumerate(zip(axes.flat, units, strict=False)):
        for observed, inferred, color in zip(psth[..., unit], predicted[..., unit], colors, strict=True):
            ax.plot(time, observed / bin_width_s, color=color, lw=2.4, alpha=0.3)
            ax.plot(time, inferred / bin_width_s, color=color, lw=1.0)
        ax.set_ylim(bottom=0)
        below = index + columns >= len(units)
        tidy(ax, f"unit {unit}", "time in trial (ms)" if below else "", "rate (Hz)" if index % columns == 0 else "")
        ax.tick_params(labelbottom=below)
    for ax in axes.flat[len(units) :]:
        ax.set_visible(False)
    looks = {"data": {"color": TRUTH, "lw": 2.4, "alpha": 0.3}, "inferred": {"color": TRUTH, "lw": 1.0}}
    if len(names) == len(psth) <= 8:
        looks |= {name: {"color": color, "lw": 2.0} for name, color in zip(short_names(names), colors, strict=True)}
    legend(figure, looks)
    return figure


def condition_means(rates: np.ndarray, condition: np.ndarray, n_conditions: int) -> np.ndarray:
    """Mean over each condition's trials of (trial, bin, unit), as (condition, bin, unit); NaN where there are none."""
    means = np.full((n_conditions, *rates.shape[1:]), np.nan)
    for index in range(n_conditions):
        if (condition == index).any():
            means[index] = rates[condition == index].mean(0)
    return means


def strongest(modulation: np.ndarray) -> list[int]:
    """Units from the most to the least modulated."""
    return [int(unit) for unit in np.argsort(-modulation)]


def spread(candidates: Sequence[int], n: int) -> list[int]:
    """`n` of the candidates (all, if fewer), evenly spaced."""
    return [candidates[i] for i in sorted({round(x) for x in np.linspace(0, len(candidates) - 1, n)})]
