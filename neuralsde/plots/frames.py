"""Videos, frame by frame."""

from math import isqrt

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from neuralsde.plots.rates import spread
from neuralsde.plots.style import ACCENT, MEDIUM, SMALL, new_figure

MOST_TRIALS, MOST_FRAMES, MOST_SAMPLES = 3, 14, 2
GAP = 1 / 8
"""Between frames, in widths of a frame."""


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
    look = {"cmap": colormaps["gray"].with_extremes(bad="white"), "vmin": 0.0, "vmax": 1.0, "interpolation": "nearest"}
    for ax, trial in zip(axes, trials, strict=True):
        board, step = pinned([videos[trial, shown] for videos in rows.values()])
        ax.imshow(board, **look)
        middle = np.arange(max(len(rows), len(shown))) * step + (step / (1 + GAP) - 1) / 2
        ax.set_yticks(middle[: len(rows)], list(rows), fontsize=SMALL)
        ax.set_xticks(middle[: len(shown)], [f"{frame_s * n:.1f}" for n in shown], fontsize=SMALL)
        ax.tick_params(length=0, labelbottom=trial == trials[-1])
        ax.spines[:].set_visible(False)
        if observed_bins is not None and (ahead := shown >= observed_bins).any() and not ahead.all():
            x = middle[ahead.argmax()] - step / 2
            ax.axvline(x, color=ACCENT, lw=1.2, ls="--")
            if trial == trials[0]:
                ax.set_title("right of the dashes: forecast", fontsize=SMALL, color=ACCENT, loc="right")
    axes[-1].set_xlabel("time in trial (s)", fontsize=MEDIUM)
    return figure


def pinned(strips: list[np.ndarray]) -> tuple[np.ndarray, int]:
    """Strips of frames, each (frame, pixel), below each other on one board with gaps of NaN, and the distance of frames."""
    side = isqrt(strips[0].shape[-1])
    gap = max(1, round(GAP * side))
    grid = np.stack(strips).reshape(len(strips), -1, side, side)
    spaced = np.pad(grid, ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=np.nan)
    board = spaced.transpose(0, 2, 1, 3).reshape(len(strips) * (side + gap), -1)
    return board[:-gap, :-gap], side + gap
