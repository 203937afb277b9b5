"""Gaussian smoothing of spikes at 1 ms, one unit after another, computed only inside the windows that are asked for.

Equal to the benchmark's (nlb_tools 0.0.4), which smooths the whole session, to the last bit of float32.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import choose_conv_method, convolve
from scipy.signal.windows import gaussian


def gaussian_kernel(sd_ms: float) -> np.ndarray:
    """Symmetric Gaussian of int(6 sd) points that sums to 1."""
    kernel = gaussian(int(6 * sd_ms), sd_ms, sym=True)
    return kernel / kernel.sum()


@dataclass(frozen=True)
class Segment:
    """A stretch without a gap, and the windows' parts that lie in it. Times in ms.

    Args:
        start, stop: of the segment.
        by_fft: whether scipy would convolve a segment of this length by FFT.
        parts: (window, from, to) of each part.
    """

    start: int
    stop: int
    by_fft: bool
    parts: list[tuple[int, int, int]]


class Smoother:
    """Smoothed and binned counts in windows of a recording.

    Args:
        observed: which milliseconds were recorded, (ms,).
        first: first bin of each window, (window,).
        n_bins: bins per window.
        bin_ms: width of a bin.
        kernel: weights, one per millisecond.
    """

    def __init__(self, observed: np.ndarray, first: np.ndarray, n_bins: int, bin_ms: int, kernel: np.ndarray):
        self.observed, self.kernel, self.bin_ms = observed, kernel, bin_ms
        self.start, self.shape = first * bin_ms, (len(first), n_bins)
        self.segments = self._segments()
        at = self.start[:, None] + bin_ms * np.arange(n_bins)
        inside = (at >= 0) & (at < len(observed))
        self.known = inside & observed[np.clip(at, 0, len(observed) - 1)]

    def _segments(self) -> list[Segment]:
        """Recorded segments that the windows touch."""
        edges = np.flatnonzero(np.diff(self.observed, prepend=False, append=False)).reshape(-1, 2)
        end = self.start + self.shape[1] * self.bin_ms
        segments = []
        for start, stop in edges.tolist():
            windows = np.flatnonzero((self.start < stop) & (end > start))
            parts = [(int(w), max(int(self.start[w]), start), min(int(end[w]), stop)) for w in windows]
            if parts:
                segments.append(Segment(start, stop, self._by_fft(stop - start), parts))
        return segments

    def _by_fft(self, length: int) -> bool:
        return choose_conv_method(np.zeros(length, np.float16), self.kernel, "same") == "fft"

    def __call__(self, spike_ms: np.ndarray) -> np.ndarray:
        """Expected counts per bin of a unit whose spikes fall in these milliseconds, (window, bin).

        NaN where a bin's first millisecond was not recorded; others that were not count as 0.
        """
        # NLB keeps counts in half precision, which scipy's FFT takes to single: the targets carry its rounding
        counts = np.bincount(spike_ms, minlength=len(self.observed)).astype(np.float16)
        smooth = np.zeros((self.shape[0], self.shape[1] * self.bin_ms))
        for segment in self.segments:
            for window, low, high, values in self._convolved(counts, segment):
                origin = int(self.start[window])
                smooth[window, low - origin : high - origin] = np.maximum(values, 0)
        binned = smooth.reshape(*self.shape, self.bin_ms).sum(axis=2)
        return np.where(self.known, binned, np.nan)

    def _convolved(self, counts: np.ndarray, segment: Segment):
        """Window, from, to and values of each part of a segment."""
        start, stop, width = segment.start, segment.stop, len(self.kernel)
        whole = convolve(counts[start:stop], self.kernel, "same", method="fft") if segment.by_fft else None
        for window, low, high in segment.parts:
            if whole is not None:
                yield window, low, high, whole[low - start : high - start]
            else:
                # the kernel's reach; more for a short part, since scipy takes another path if the kernel is the longer
                margin = width // 2 + 1 if high - low >= width else width
                begin, end = max(low - margin, start), min(high + margin, stop)
                part = convolve(counts[begin:end], self.kernel, "same", method="direct")
                yield window, low, high, part[low - begin : high - begin]
