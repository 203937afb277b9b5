"""One trial at a glance."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from neuralsde.plots.style import ACCENT, MEDIUM, SMALL, new_figure, tidy


def raster_and_rates(
    counts: np.ndarray,
    rates: np.ndarray,
    bin_width_s: float,
    truth: np.ndarray | None = None,
    n_heldin: int | None = None,
    observed_bins: int | None = None,
    title: str = "",
) -> Figure:
    """Spikes of one trial, above its inferred rates, above its true rates where they are known.

    Units are sorted by the time of their peak rate, held-in ones below held-out ones.

    Args:
        counts: counts per bin, (bin, unit); NaN where unknown.
        rates: inferred counts per bin, (bin, unit).
        bin_width_s: in seconds.
        truth: true counts per bin, (bin, unit).
        n_heldin: number of held-in units; a line separates the held-out ones.
        observed_bins: number of observed bins; a line separates the forward ones.
        title: of the figure.
    """
    n_bins, n_units = counts.shape
    shown = {"inferred": rates} if truth is None else {"inferred": rates, "true": truth}
    order = peak_order(rates if truth is None else truth, n_units if n_heldin is None else n_heldin)
    figure = new_figure(5.6, 0.6 + 1.75 * (1 + len(shown)), title)
    axes = figure.subplots(1 + len(shown), 1, sharex=True, sharey=True)
    extent = (0.0, 1e3 * n_bins * bin_width_s, 0.0, float(n_units))
    look = {"aspect": "auto", "origin": "lower", "extent": extent, "interpolation": "nearest"}
    most = max(2.0, float(np.nanmax(counts)))
    image = axes[0].imshow(counts[:, order].T, cmap="Greys", norm=PowerNorm(0.5, 0, most), **look)
    color_bar(figure, axes[0], image, "spikes per bin")
    top = max(float(np.quantile(values, 0.998)) for values in shown.values()) / bin_width_s
    for ax, (name, values) in zip(axes[1:], shown.items(), strict=True):
        norm = PowerNorm(0.5, 0, max(top, 1e-9))  # square root: weak units stay visible beside strong ones
        image = ax.imshow(values[:, order].T / bin_width_s, cmap="viridis", norm=norm, **look)
        color_bar(figure, ax, image, f"{name} rate (Hz)")
    for ax in axes:
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        tidy(ax, y="unit, by time of peak")
        if n_heldin is not None and n_heldin < n_units:
            ax.axhline(n_heldin, color=ACCENT, lw=1.0)
        if observed_bins is not None and observed_bins < n_bins:
            ax.axvline(1e3 * observed_bins * bin_width_s, color=ACCENT, lw=1.0, ls="--")
    label_unobserved(axes[0], n_heldin, n_units, observed_bins, n_bins)
    axes[-1].set_xlabel("time in trial (ms)", fontsize=MEDIUM)
    return figure


def peak_order(rates: np.ndarray, n_heldin: int) -> np.ndarray:
    """Units of (bin, unit) rates by the time of their peak, held-in ones first."""
    heldout = np.arange(rates.shape[1]) >= n_heldin
    return np.lexsort((np.argmax(rates, axis=0), heldout))


def color_bar(figure: Figure, ax: Axes, image: AxesImage, label: str) -> None:
    bar = figure.colorbar(image, ax=ax, pad=0.01, aspect=14)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2.5)
    bar.outline.set_linewidth(0.6)


def label_unobserved(ax: Axes, n_heldin: int | None, n_units: int, observed_bins: int | None, n_bins: int) -> None:
    """Say above the panel what the lines mean."""
    parts = ["above the line: held out"] if n_heldin is not None and n_heldin < n_units else []
    parts += ["right of the dashes: forecast"] if observed_bins is not None and observed_bins < n_bins else []
    ax.set_title(";  ".join(parts), fontsize=SMALL, color=ACCENT, loc="right")
