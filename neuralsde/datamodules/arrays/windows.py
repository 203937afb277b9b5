"""A continuous recording cut into blocks of time, and into windows inside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuralsde.datamodules.arrays.layout import Layout
from neuralsde.datamodules.arrays.recording import Recording
from neuralsde.datamodules.arrays.split import SPLITS, draw_split
from neuralsde.datamodules.lorenz import split_trials
from neuralsde.datamodules.trials import DataSpec, Trials
from neuralsde.errors import ConfigError, DataError


@dataclass(frozen=True)
class Stretches:
    """Stretches of one split without a gap, each inside one block.

    Args:
        start: first bin of each, (stretch,).
        stop: first bin after each, (stretch,).
    """

    start: np.ndarray
    stop: np.ndarray

    def tiles(self, bins: int) -> np.ndarray:
        """First bins of windows that lie side by side, (window,)."""
        parts = [np.arange(a, b - bins + 1, bins) for a, b in zip(self.start, self.stop, strict=True)]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def places(self, bins: int) -> np.ndarray:
        """In how many places a window of so many bins fits into each, (stretch,)."""
        return np.maximum(self.stop - self.start - bins + 1, 0)

    def draw(self, bins: int, seed: int, numbers: Sequence[int]) -> np.ndarray:
        """First bins of windows, uniform over all places, (window,); each a function of the seed and of its number."""
        ends = np.cumsum(self.places(bins))
        place = np.array([np.random.default_rng((seed, number)).integers(ends[-1]) for number in numbers])
        stretch = np.searchsorted(ends, place, side="right")
        return self.stop[stretch] - bins + 1 + place - ends[stretch]


def stretches(recording: Recording, layout: Layout, path: Path) -> dict[str, Stretches]:
    """Those of each split, by its name.

    The recording is cut into equal blocks, drawn among the splits. A block whose predecessor belongs to another split loses
    its first `gap_bins`. Bins in which no unit is known belong to no stretch.

    Raises:
        ConfigError: a window is longer than a block, or a gap leaves no room for it.
        DataError: there are fewer bins than blocks.
    """
    values, window = recording.values, layout.window_bins or 0
    edges = np.linspace(0, len(values), layout.blocks + 1).astype(np.int64)
    shortest = int(np.diff(edges).min())
    if window + layout.gap_bins > shortest:
        raise ConfigError(
            f"data.window_bins is {window} and data.gap_bins {layout.gap_bins}, but data.blocks={layout.blocks} of the "
            f"{len(values)} bins of {path} have {shortest}; give shorter windows or fewer blocks."
        )
    split = draw_split(layout.blocks, layout.shares, layout.split_seed, "blocks", layout.folds, layout.fold)
    start = edges[:-1].copy()
    start[1:][split[1:] != split[:-1]] += layout.gap_bins
    known = None if values.dtype.kind != "f" else np.any(~np.isnan(values), axis=1)
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in SPLITS}
    for index, a, b in zip(split.tolist(), start.tolist(), edges[1:].tolist(), strict=True):
        found[SPLITS[index]] += [(a, b)] if known is None else runs(known, a, b)
    return {name: Stretches(*np.array(pairs, np.int64).reshape(-1, 2).T) for name, pairs in found.items()}


def runs(known: np.ndarray, start: int, stop: int) -> list[tuple[int, int]]:
    """Longest stretches of known bins from `start` to before `stop`."""
    edges = np.flatnonzero(np.diff(known[start:stop], prepend=False, append=False)).reshape(-1, 2)
    return [(start + a, start + b) for a, b in edges.tolist()]


def refuse_no_window(found: dict[str, Stretches], wanted: str, layout: Layout, path: Path) -> None:
    """Raises:
    DataError: no window fits into a stretch of the split.
    """
    split, window = found[wanted], layout.window_bins or 0
    if not split.places(window).any():
        longest = int((split.stop - split.start).max(initial=0))
        raise DataError(
            f"{path}: no window of {window} bins fits into the split `{wanted}`, whose longest recorded stretch has {longest} "
            "bins; give shorter windows, or other data.blocks or data.split_seed."
        )


def spec_of_windows(recording: Recording, n_units: int, n_heldin: int, layout: Layout) -> DataSpec:
    """Sizes of a continuous recording's windows."""
    return DataSpec(
        observed_dim=n_heldin,
        target_dim=n_units,
        observed_bins=(layout.window_bins or 0) - layout.forward_bins,
        forward_bins=layout.forward_bins,
        bin_width_s=recording.bin_width_s,
        behavior_dim=len(recording.behavior_names),
        kind=layout.kind,
    )


def windows_at(recording: Recording, first: np.ndarray, spec: DataSpec) -> Trials:
    """The windows that begin in these bins; their `trial_id` is that bin.

    Args:
        recording: continuous, its units in the order held-in, held-out.
        first: first bin of each window, (window,).
        spec: sizes of the windows.
    """
    bins = first[:, None] + np.arange(spec.total_bins)
    trials = split_trials(recording.values[bins], None, None, first, spec.observed_bins, spec.observed_dim)
    if recording.behavior is None:
        return trials
    return replace(trials, behavior=recording.behavior[bins[:, : spec.observed_bins]])
