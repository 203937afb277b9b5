"""The mean response to each condition (PSTH), as the Neural Latents Benchmark makes its scoring targets.

Spikes at 1 ms are smoothed by a Gaussian inside each recorded segment, summed into bins, cut into trials, and averaged
over the trials of a condition by their time from the alignment. Equal to nlb_tools 0.0.4 to the last bit of float32,
which is why the single steps below are as they are.
"""

from dataclasses import dataclass

import numpy as np

from neuralsde.datamodules.nwb import windows
from neuralsde.datamodules.nwb.assemble import Cutter, is_missing
from neuralsde.datamodules.nwb.smoothing import Smoother, gaussian_kernel
from neuralsde.datamodules.nwb.windows import NS_PER_MS, Windows

UNITS_AT_ONCE = 32  # units whose smoothed windows are in memory at a time
SHORT = 0.8  # trials shorter than this part of their condition's mean length are left out


@dataclass(frozen=True)
class Condition:
    """Trials of one condition and the bins they are averaged over.

    Args:
        name: its label, such as `trial_type=1, trial_version=0`.
        trials: rows of the trials table, ascending.
        windows: their windows.
        offset: bins from each window's first bin to the earliest one's, by time from the alignment, (trial,).
        keep: bins of the mean that are kept, from the back if negative.
    """

    name: str
    trials: np.ndarray
    windows: Windows
    offset: np.ndarray
    keep: int


def conditions(cutter: Cutter, kept: np.ndarray) -> list[Condition]:
    """The conditions of the trials `kept`, sorted by their values; none where the recipe or the file has no labels."""
    names = [str(n) for n in cutter.recipe.condition_columns]
    if not names:
        return []
    columns = [cutter.table.column(name, "condition_columns") for name in names]
    labelled = np.all([~is_missing(column) for column in columns], axis=0)
    kept = kept[labelled[kept]]
    usable = kept[~cutter.outlier()[kept]]
    found = []
    for values in sorted({tuple(column[i].item() for column in columns) for i in usable}):
        trials = usable[np.all([column[usable] == value for column, value in zip(columns, values, strict=True)], axis=0)]
        label = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        found.append(condition(cutter, label, trials))
    return found


def condition(cutter: Cutter, name: str, trials: np.ndarray) -> Condition:
    """Windows of the trials of one condition, those that are too short left out."""
    recipe, width = cutter.recipe, cutter.recipe.bin_ms * NS_PER_MS
    align = cutter.time_ns(recipe.align, "align")[trials]
    if recipe.target_start:
        start, end = cutter.time_ns(recipe.target_start, "target_start")[trials], align
    else:
        start, end = (align + edge * NS_PER_MS for edge in recipe.window_ms)
    cut = windows.cut(start, end, recipe.bin_ms, bound_ns=cutter.bounds(trials, start))
    long = cut.count >= SHORT * cut.count.mean()
    first, count = cut.first[long], cut.count[long]
    since_align = first - (-(-align[long] // width))
    keep = int(count.min()) * (-1 if recipe.target_start else 1)
    cut = Windows(first, count, int(count.max()))
    return Condition(name, trials[long], cut, since_align - since_align.min(), keep)


def mean_responses(cutter: Cutter, found: list[Condition]) -> np.ndarray | None:
    """PSTH, (condition, bin, held-in + held-out unit), float32, expected counts per bin, NaN where undefined.

    Responses that end at the alignment (`target_start`) are padded in front, all others at the end.
    """
    if not found:
        return None
    n_bins, n_heldin = cutter.recipe.n_bins, len(cutter.units.heldin)
    out = np.full((len(found), n_bins, n_heldin + len(cutter.units.heldout)), np.nan, np.float32)
    rows = np.cumsum([0] + [len(one.trials) for one in found])
    for group, offset in ((cutter.units.heldin, 0), (cutter.units.heldout, n_heldin)):
        for start in range(0, len(group), UNITS_AT_ONCE):
            units = group[start : start + UNITS_AT_ONCE]
            rates = smoothed(cutter, found, group, units)
            place = slice(offset + start, offset + start + len(units))
            for k, one in enumerate(found):
                mean = average(rates[rows[k] : rows[k + 1]], one)
                bins = slice(-min(len(mean), n_bins), None) if one.keep < 0 else slice(min(len(mean), n_bins))
                out[k, bins, place] = mean[bins]
    return out


def smoothed(cutter: Cutter, found: list[Condition], group: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Smoothed counts of a few units of a group in all conditions' windows, (window, bin, unit)."""
    grid, recipe = cutter.grid, cutter.recipe
    observed = grid.observed(group)
    first = np.concatenate([one.windows.first for one in found])
    longest = max(one.windows.n_bins for one in found)
    smoother = Smoother(observed, first, longest, recipe.bin_ms, gaussian_kernel(recipe.psth_kernel_ms))
    return np.stack([smoother(grid.spike_ms(unit, observed)) for unit in units.tolist()], axis=2)


def average(rates: np.ndarray, one: Condition) -> np.ndarray:
    """Mean over the windows of a condition by time from the alignment, (bin, unit), cut to its shortest trial.

    Args:
        rates: (window, bin, unit), NaN where unknown.
        one: the condition.
    """
    shape = int((one.offset + one.windows.count).max()), rates.shape[2]
    total, lost, number = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
    for trial, offset, count in zip(rates, one.offset, one.windows.count, strict=True):
        at = slice(offset, offset + count)
        known = ~np.isnan(trial[:count])
        # compensated summation (Kahan), as pandas sums groups
        step = np.where(known, trial[:count] - lost[at], 0.0)
        new = total[at] + step
        lost[at] = np.where(known, new - total[at] - step, lost[at])
        total[at] = new
        number[at] += known
    mean = np.divide(total, number, out=np.full(shape, np.nan), where=number > 0)
    return mean[: one.keep] if one.keep > 0 else mean[one.keep :]


def condition_index(found: list[Condition], kept: np.ndarray) -> np.ndarray:
    """Index of each trial's condition, (trial,), int64; -1 for a trial that has none."""
    index = np.full(len(kept), -1, np.int64)
    for k, one in enumerate(found):
        index[np.isin(kept, one.trials)] = k
    return index
