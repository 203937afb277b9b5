"""Recorded trials: which bins are kept, how they are split, their mean responses."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from neuralsde.datamodules.arrays.layout import Layout
from neuralsde.datamodules.arrays.recording import Recording
from neuralsde.datamodules.arrays.units import Units
from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.lorenz import split_trials
from neuralsde.datamodules.trials import DataSpec, Trials
from neuralsde.errors import ConfigError, DataError


@dataclass(frozen=True)
class CutTrials:
    """Trials whose kept bins stand one behind the other, from the first.

    Args:
        recording: of those trials that have a bin; (trial, bin) as many as the longest trial keeps.
        times: time of each bin since the trial's first, (trial, bin), in seconds; None where they are regular.
        number: of each trial in its file, (trial,).
        note: says how many were left out; empty where none was.
    """

    recording: Recording
    times: np.ndarray | None
    number: np.ndarray
    note: str = ""


def cut_trials(recording: Recording, layout: Layout, path: Path) -> CutTrials:
    """The bins of each trial that lie inside it and, where asked for, in which something moves.

    Raises:
        DataError: no trial keeps a bin.
        ConfigError: trials are shorter than the bins asked for.
    """
    assert recording.inside is not None
    kept = recording.inside.copy()
    if layout.moving is not None and recording.moving is not None:
        speed = np.linalg.norm(recording.moving.astype(np.float64), axis=-1)
        kept &= np.nan_to_num(speed) > float(layout.moving["above"])
    number = np.flatnonzero(kept.any(1))
    if not len(number):
        raise DataError(f"{path}: none of {len(kept)} trials keeps a bin; lower data.moving or data.rebin.")
    bins = bins_wanted(int(kept.sum(1).max()), layout, path)
    # A stable sort puts the kept bins in front, in their order.
    place = np.argsort(~kept[number], axis=1, kind="stable")[:, :bins]
    inside = np.take_along_axis(kept[number], place, axis=1)

    def packed(part: np.ndarray | None) -> np.ndarray | None:
        if part is None:
            return None
        rows = part[number[:, None], place]
        return rows if inside.all() else np.where(inside[..., None], rows, np.float32(np.nan)).astype(np.float32)

    values, condition = packed(recording.values), recording.condition
    assert values is not None
    cut = replace(
        recording, values=values, behavior=packed(recording.behavior), moving=None, steps=None, inside=inside,
        condition=None if condition is None else condition[number],
    )  # fmt: skip
    steps = place if recording.steps is None else np.take_along_axis(recording.steps[number], place, axis=1)
    left = len(kept) - len(number)
    return CutTrials(cut, times_of(steps, inside, recording.bin_width_s), number, f"{left} trials keep no bin" if left else "")


def bins_wanted(longest: int, layout: Layout, path: Path) -> int:
    """Observed and forward bins of the layout, where the longest trial has as many.

    Raises:
        ConfigError: it has not, or a model is left without two bins.
    """
    forward = layout.forward_bins
    observed = longest - forward if layout.observed_bins is None else layout.observed_bins
    if observed < 1 or observed + forward > longest or observed + forward < 2:
        raise ConfigError(
            f"data.observed_bins is {layout.observed_bins or 'null'} and data.forward_bins {forward}, but the trials of {path} "
            f"have up to {longest} bins; give 2 to {longest} in all, one or more of them observed."
        )
    return observed + forward


def times_of(steps: np.ndarray, inside: np.ndarray, bin_width_s: float) -> np.ndarray | None:
    """Time of each bin since its trial's first, (trial, bin), in seconds; None where no bin is left out.

    Bins beyond a trial's end follow at the bin width.

    Args:
        steps: number of each bin in its trial.
        inside: bins that belong to their trial.
        bin_width_s: in seconds.
    """
    follows = np.where(inside[:, 1:], np.diff(steps, axis=1), 1)
    if (follows == 1).all():
        return None
    since = np.concatenate([np.zeros((len(steps), 1), np.int64), np.cumsum(follows, axis=1)], axis=1)
    return since * bin_width_s


def spec_of_trials(cut: CutTrials, units: Units, layout: Layout) -> DataSpec:
    """Sizes of the recording: of all its trials, so that they do not change with the split that is scored."""
    recording, forward = cut.recording, layout.forward_bins
    spec = DataSpec(
        observed_dim=units.n_heldin,
        target_dim=len(units.order),
        observed_bins=recording.values.shape[1] - forward,
        forward_bins=forward,
        bin_width_s=recording.bin_width_s,
        behavior_dim=len(recording.behavior_names),
        n_conditions=len(recording.condition_names),
        kind=layout.kind,
    )
    if cut.times is None:
        return spec
    return replace(spec, longest_s=float(cut.times[:, -1].max()), longest_gap_s=float(np.diff(cut.times, axis=1).max()))


def trials_at(cut: CutTrials, rows: np.ndarray, units: Units, spec: DataSpec) -> Trials:
    """The trials of these rows."""
    recording = cut.recording
    condition = None if recording.condition is None else recording.condition[rows]
    trials = split_trials(
        recording.values[rows][..., units.order], None, condition, cut.number[rows], spec.observed_bins, spec.observed_dim
    )
    behavior = None if recording.behavior is None else recording.behavior[rows, : spec.observed_bins]
    return replace(trials, behavior=behavior, times=None if cut.times is None else cut.times[rows].astype(np.float32))


def mean_responses(trials: list[Trials], spec: DataSpec, kernel_ms: float) -> np.ndarray | None:
    """Smoothed mean over the trials of each condition, (condition, observed bin, unit).

    NaN beyond a condition's shortest trial: a model has rates for all bins of all trials, so that its means there are over
    other trials.

    Args:
        trials: splits to average over.
        spec: sizes of the recording.
        kernel_ms: standard deviation of the Gaussian, in ms.
    """
    if spec.kind != "counts" or not spec.n_conditions:
        return None
    condition = np.concatenate([t.condition for t in trials if t.condition is not None])
    counts = np.concatenate([stack_targets(t, spec)[:, : spec.observed_bins] for t in trials]).astype(np.float64)
    sd_bins = kernel_ms / 1000 / spec.bin_width_s
    out = np.full((spec.n_conditions, *counts.shape[1:]), np.nan, np.float32)
    for index in range(spec.n_conditions):
        own = counts[condition == index]
        known = (~np.isnan(own)).sum(0, dtype=np.float64)
        total, weight = (smoothed(part, sd_bins) for part in (np.nansum(own, axis=0), known))
        everywhere = (known == len(own)) & (known > 0)
        out[index] = np.where(everywhere, total / np.maximum(weight, 1e-12), np.nan)
    return out


def smoothed(values: np.ndarray, sd_bins: float) -> np.ndarray:
    """(bin, unit) smoothed along bins, with nothing beyond the ends."""
    return gaussian_filter1d(values, sd_bins, axis=0, mode="constant", truncate=6.0) if sd_bins > 0 else values
