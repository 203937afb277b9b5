"""From a checked recording to the tensors of two splits and what is needed to score them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.arrays.layout import Layout
from neuralsde.datamodules.arrays.recording import Recording
from neuralsde.datamodules.arrays.split import SPLITS, draw_split, scored_split
from neuralsde.datamodules.arrays.trials import cut_trials, mean_responses, spec_of_trials, trials_at
from neuralsde.datamodules.arrays.units import choose_units
from neuralsde.datamodules.arrays.windows import refuse_no_window, spec_of_windows, stretches, windows_at
from neuralsde.datamodules.trials import TrialData, Trials


class Built(NamedTuple):
    """A recording ready for training.

    Args:
        data: its splits.
        draw: training windows at random offsets, from a seed and their numbers; None for trials.
    """

    data: TrialData
    draw: Callable[[int, Sequence[int]], Trials] | None


def build_data(recording: Recording, layout: Layout, phase: str, path: Path) -> Built:
    """Tensors of the training split and of the one that the phase scores; the third is not looked at.

    Raises:
        DataError: the recording is too short for its splits.
        ConfigError: a setting does not fit the recording.
    """
    build = build_windows if recording.is_continuous else build_trials
    return build(recording, layout, phase, path)


def build_trials(recording: Recording, layout: Layout, phase: str, path: Path) -> Built:
    """Tensors of a recording of trials; arguments as `build_data`."""
    scored = scored_split(phase, layout.shares, layout.folds)
    cut = cut_trials(recording, layout, path)
    split = draw_split(len(cut.number), layout.shares, layout.split_seed, "trials", layout.folds, layout.fold)
    rows = [np.flatnonzero(split == index) for index in (0, scored)]
    units = choose_units(spikes_of([cut.recording.values[rows[0]]]), layout, path)
    spec = spec_of_trials(cut, units, layout)
    train, evaluation = (trials_at(cut, part, units, spec) for part in rows)
    psth = mean_responses([train, evaluation], spec, layout.psth_kernel_ms)
    notes = [cut.note, units.note]
    data = describe(TrialData(layout.name, spec, train, evaluation, psth=psth), recording, layout, phase, path, notes)
    return Built(data, None)


def build_windows(recording: Recording, layout: Layout, phase: str, path: Path) -> Built:
    """Tensors of a continuous recording; arguments as `build_data`."""
    scored = SPLITS[scored_split(phase, layout.shares, layout.folds)]
    found = stretches(recording, layout, path)
    for name in ("train", scored):
        refuse_no_window(found, name, layout, path)
    training = zip(found["train"].start, found["train"].stop, strict=True)
    units = choose_units(spikes_of([recording.values[a:b] for a, b in training]), layout, path)
    recording = replace(recording, values=recording.values[:, units.order])
    spec = spec_of_windows(recording, len(units.order), units.n_heldin, layout)
    bins = spec.total_bins
    train, evaluation = (windows_at(recording, found[name].tiles(bins), spec) for name in ("train", scored))

    def draw(seed: int, numbers: Sequence[int]) -> Trials:
        return windows_at(recording, found["train"].draw(bins, seed, numbers), spec)

    data = describe(TrialData(layout.name, spec, train, evaluation), recording, layout, phase, path, [units.note])
    return Built(data, draw)


def spikes_of(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Sum over all known entries of each unit, (unit,); the parts are (…, unit)."""
    total = np.zeros(parts[0].shape[-1])
    for part in parts:
        total += np.nansum(part.reshape(-1, part.shape[-1]), axis=0, dtype=np.float64)
    return total


def describe(data: TrialData, recording: Recording, layout: Layout, phase: str, path: Path, notes: Sequence[str]) -> TrialData:
    """`data` with what says where they came from and what their behaviour and conditions are."""
    n, n_angles = len(recording.behavior_names), len(layout.angles)
    parts = [f"{path.name}", f"phase {phase}", f"{recording.bin_width_s * 1000:g} ms bins", *filter(None, notes)]
    return replace(
        data,
        behavior_kind="continuous" if n else "",
        behavior_names=recording.behavior_names,
        angle_channels=tuple((k, k + 1) for k in range(n - 2 * n_angles, n, 2)),
        condition_names=recording.condition_names,
        length_unit=layout.length_unit,
        source=", ".join(parts),
    )
