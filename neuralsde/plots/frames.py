"""Videos, frame by frame."""

from math import isqrt

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuralsde.plots.rates import spread
from neuralsde.plots.style import ACCENT, MEDIUM, SMALL, new_figure

MOST_TRIALS, MOST_FRAMES, MOST_SAMPLES = 3, 14, 2
GAPS = 8
"""Of these gaps between frames, a frame is as wide."""


def frames(
    truth: np.ndarray,
    predicted: np.ndarray,
    samples: np.ndarray | None = None,
    frame_s: float = 1.0,
    observed_bins: int | None = None,
    title: str = "",
) -> Figure:
    """True frames above the model's mean and, where given, single samples: a strip of frames per row, trial below trial.

    Three trials are drawn, spread over the split, and fourteen frames, spread over all.

    Args:
        truth: recorded frames, (trial, frame, pixel), in [0, 1], square, row by row; NaN where nothing was recorded.
        predicted: expected frames, same shape.
        samples: single draws, (sample, trial, frame, pixel); two of them are drawn.
        frame_s: time from frame to frame, in seconds.
        observed_bins: number of observed frames; a line stands between them and the forecast.
        title: of the figure.
    """
    trials, shown = spread(range(len(truth)), MOST_TRIALS), np.array(spread(range(truth.shape[1]), MOST_FRAMES))
    rows = {"true": truth, "model": predicted}
    rows |= {f"sample {n + 1}": sample for n, sample in enumerate(() if samples is None else samples[:MOST_SAMPLES])}
    figure = new_figure(0.9 + 0.48 * len(shown), 0.7 + (0.15 + 0.5 * len(rows)) * len(trials), title)
    axes = figure.subplots(len(trials), 1, squeeze=False)[:, 0]
    for ax, trial in zip(axes, trials, strict=True):
        columns = draw_strips(ax, {name: videos[trial, shown] for name, videos in rows.items()})
        ax.set_xticks(columns, [f"{frame_s * n:.1f}" for n in shown] if trial == trials[-1] else [], fontsize=SMALL)
        if observed_bins is not None and shown[0] < observed_bins <= shown[-1]:
            first = int(np.argmax(shown >= observed_bins))
            ax.axvline(columns[first - 1 : first + 1].mean(), color=ACCENT, lw=1.2, ls="--")
            if trial == trials[0]:
                ax.set_title("right of the dashes: forecast", fontsize=SMALL, color=ACCENT, loc="right")
    axes[-1].set_xlabel("time in trial (s)", fontsize=MEDIUM)
    return figure


def draw_strips(ax: Axes, strips: dict[str, np.ndarray]) -> np.ndarray:
    """Strips of frames, each (frame, pixel), below each other, with their names; returns where the columns' middles are."""
    grid = np.stack(list(strips.values()))
    side = isqrt(grid.shape[2])
    gap = max(1, side // GAPS)
    spaced = np.pad(grid.reshape(*grid.shape[:2], side, side), ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=np.nan)
    board = spaced.transpose(0, 2, 1, 3).reshape(len(grid) * (side + gap), -1)[:-gap, :-gap]
    ax.imshow(board, cmap=colormaps["gray"].with_extremes(bad="white"), vmin=0.0, vmax=1.0, interpolation="nearest")
    middles = np.arange(max(grid.shape[:2])) * (side + gap) + (side - 1) / 2
    ax.set_yticks(middles[: len(grid)], list(strips), fontsize=SMALL)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return middles[: grid.shape[1]]
