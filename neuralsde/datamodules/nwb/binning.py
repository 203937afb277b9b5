"""Spike times and behaviour samples in bins, by the Neural Latents Benchmark's rules, one unit or channel at a time.

Everything stands on a grid of 1 ms that starts at time 0 of the file; a bin is `bin_ms` of it. The benchmark's own code
(nlb_tools 0.0.4) holds the whole session for all units; here only one unit's bins are ever in memory.
"""

import numpy as np
from scipy.signal import decimate

from neuralsde.datamodules.nwb.series import Series
from neuralsde.datamodules.nwb.table import Table
from neuralsde.datamodules.nwb.windows import Windows
from neuralsde.errors import DataError

LONGEST_MS = 48 * 3_600_000
FAR_OFF = 10  # lengths of the recording after which a spike shows that times are not in seconds
LATEST_MS = 1e15  # times beyond it are cut to it, as integers end somewhere
FILTER_ORDER = 500  # NLB's anti-aliasing filter, in samples of 1 ms
STEPPED_SERIES = ("target_pos",)  # NLB takes every n-th sample of a target that jumps, and filters all else


def to_ms(seconds: np.ndarray) -> np.ndarray:
    """The 1 ms bin of each time: milliseconds rounded to six decimals, then truncated."""
    return np.round(np.clip(seconds * 1000, -LATEST_MS, LATEST_MS), 6).astype(np.int64)


def n_bins(length_ms: int, bin_ms: int) -> int:
    return -(-length_ms // bin_ms)


class SpikeGrid:
    """The bins of one recording and which of them were recorded.

    Args:
        units: the units table.
        last_stop_s: end of the last trial, which ends the grid where the file states no observed intervals.
        bin_ms: width of a bin.
    """

    def __init__(self, units: Table, last_stop_s: float, bin_ms: int):
        self.units, self.bin_ms = units, bin_ms
        self.has_intervals = "obs_intervals" in units and "obs_intervals_index" in units
        self._check_shapes()
        length_ms = self._end_s(last_stop_s) * 1000
        if not 0 < length_ms <= LONGEST_MS:
            raise DataError(
                f"{units.path}: the recording would last {length_ms / 3.6e6:.3g} hours; times must be in seconds "
                "from the start of the session."
            )
        self.length_ms = round(length_ms)
        self.n_bins = n_bins(self.length_ms, bin_ms)
        if (last_s := self._last("spike_times", ())) * 1000 > FAR_OFF * length_ms:
            raise DataError(
                f"{units.path}: `spike_times` of the units table end at {last_s:.6g}, but the recording at "
                f"{length_ms / 1000:.6g} s; spike times must be in seconds from the start of the session."
            )

    def _check_shapes(self) -> None:
        wanted = {"spike_times": ("one list", ())} | ({"obs_intervals": ("pairs", (2,))} if self.has_intervals else {})
        for name, (what, rest) in wanted.items():
            if (shape := self.units.dataset(name).shape)[1:] != rest or not shape:
                raise DataError(
                    f"{self.units.where(name)} has shape {shape}, but {what} of times are needed; write the file again."
                )

    def _end_s(self, last_stop_s: float) -> float:
        if not self.has_intervals:
            return max(last_stop_s, self._last("spike_times", ()) + 1e-3)
        return self._last("obs_intervals", (1,))

    def _last(self, name: str, rest: tuple[int, ...]) -> float:
        """The latest of the units' last entries in an indexed column of times."""
        ends = self.units.ends(name)
        starts = np.append(0, ends[:-1])
        last = (float(self.units.finite(name, i, (ends[i] - 1, *rest))) for i in np.flatnonzero(ends > starts).tolist())
        return max(last, default=0.0)

    def observed(self, group: np.ndarray) -> np.ndarray:
        """Which milliseconds were recorded from the units in `group`, (ms,); NLB asks the first of them for all."""
        if not self.has_intervals:
            return np.ones(self.length_ms, bool)
        observed = np.zeros(self.length_ms, bool)
        intervals = np.round(self.units.rows("obs_intervals", int(group[0])).reshape(-1, 2) * 1000, 6)
        for start, end in zip(np.ceil(intervals[:, 0]), np.floor(intervals[:, 1]), strict=True):
            observed[max(int(start), 0) : max(int(end), 0)] = True
        return observed

    def spike_ms(self, unit: int, observed: np.ndarray) -> np.ndarray:
        """The 1 ms bins of a unit's spikes; those outside the grid or while nothing was recorded are dropped."""
        ms = to_ms(self.units.rows("spike_times", unit))
        ms = ms[(ms >= 0) & (ms < self.length_ms)]
        return ms[observed[ms]]

    def counts(self, group: np.ndarray, windows: Windows) -> np.ndarray:
        """Spike counts of the units in `group`, (trial, bin, unit), float32; NaN where a bin was not recorded.

        A bin counts as recorded where its first millisecond was.
        """
        observed = self.observed(group)
        index, inside = locate(windows, self.n_bins)
        known = inside & observed[:: self.bin_ms][index]
        counts = np.empty((*index.shape, len(group)), np.float32)
        for k, unit in enumerate(group.tolist()):
            per_bin = np.bincount(self.spike_ms(unit, observed) // self.bin_ms, minlength=self.n_bins)
            counts[:, :, k] = np.where(known, per_bin[index], np.nan)
        return counts


def locate(windows: Windows, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of each window's bins, clipped to the recording's `n`, and which of them lie in window and recording."""
    index = windows.bins()
    inside = windows.taken() & (index >= 0) & (index < n)
    return np.clip(index, 0, n - 1), inside


def behavior(series: Series, channels: list[int], length_ms: int, bin_ms: int, windows: Windows) -> np.ndarray:
    """Behaviour in the windows' bins, (trial, bin, channel), float32; NaN where there is none.

    Gaps are bridged by straight lines, the signal is low-passed (FIR, order 500) and decimated, and a bin whose first
    sample was missing is made NaN again.
    """
    index, inside = locate(windows, n_bins(length_ms, bin_ms))
    grid = to_grid(series, channels, length_ms)
    out = np.empty((*index.shape, len(channels)), np.float32)
    for k in range(len(channels)):
        resampled = resample(grid[:, k], bin_ms, series.name in STEPPED_SERIES)
        out[:, :, k] = np.where(inside, resampled[index], np.nan)
    return out


def to_grid(series: Series, channels: list[int], length_ms: int) -> np.ndarray:
    """Samples on the 1 ms grid, (ms, channel), NaN where there is none; several in one millisecond are averaged.

    Raises:
        DataError: the series holds infinite values, or times that are not finite.
    """
    total = np.zeros((length_ms, len(channels)))
    samples = np.zeros(length_ms, np.int32)
    for times, values in series.blocks():
        if not np.isfinite(times).all():
            raise DataError(
                f"{series.data.file.filename}: the timestamps of behaviour series `{series.name}` hold NaN or infinite "
                "values; write the file again without them."
            )
        ms = to_ms(times)
        kept = (ms >= 0) & (ms < length_ms)
        ms, values = ms[kept], values[kept][:, channels]
        if np.isinf(values).any():
            raise DataError(
                f"{series.data.file.filename}: behaviour series `{series.name}` holds infinite values; "
                "write NaN where it is unknown."
            )
        np.add.at(total, ms, values)
        np.add.at(samples, ms, 1)
    total[samples == 0] = np.nan
    several = samples > 1
    total[several] /= samples[several, None]
    bridge(total, samples, series)
    return total


def bridge(grid: np.ndarray, samples: np.ndarray, series: Series) -> None:
    """Join neighbouring samples by straight lines where a series is slower than the grid, in place.

    Series at 1 kHz, as NLB's are, stay as they are; longer gaps than 2.5 sampling periods stay open.
    """
    at = np.flatnonzero(samples)
    if len(at) < 2 or (period := float(np.median(np.diff(at)))) <= 1:
        return
    before = np.repeat(at[:-1], np.diff(at))
    after = np.repeat(at[1:], np.diff(at))
    ms = np.arange(at[0], at[-1])
    ms = ms[(after - before <= 2.5 * period)]
    for channel in grid.T:
        channel[ms] = np.interp(ms, at, channel[at])


def resample(channel: np.ndarray, bin_ms: int, stepped: bool = False) -> np.ndarray:
    """One channel from the 1 ms grid to bins, (bin,)."""
    if stepped or bin_ms == 1:
        return channel[::bin_ms]
    missing = np.isnan(channel)
    first_missing = missing[::bin_ms].copy()
    if missing.any() and not missing.all():
        at = np.flatnonzero(~missing)
        holes = np.flatnonzero(missing)
        channel[holes] = np.interp(holes, at, channel[at])
    # the benchmark joins the test file, which has no behaviour, in front: the first value stands before the recording
    lead = -(-FILTER_ORDER // (2 * bin_ms))
    padded = np.concatenate([np.full(lead * bin_ms, channel[0]), channel])
    resampled = decimate(padded, bin_ms, n=FILTER_ORDER, ftype="fir")[lead:]
    resampled[first_missing] = np.nan
    return resampled
