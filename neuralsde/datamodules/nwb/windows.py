"""Which bins of the recording each trial takes: alignment, cutting and jitter, by the Neural Latents Benchmark's rules.

Times are whole nanoseconds here, as in the benchmark's own code (Pei et al. 2021, arXiv:2109.04463; nlb_tools 0.0.4),
so that a window that starts on the edge of a bin starts in the same bin as theirs.
"""

from dataclasses import dataclass

import numpy as np

MISSING = np.iinfo(np.int64).min  # a time that the file does not state (NaN)
LATEST_S = 1e9  # nanoseconds within it fit 64 bits, sums with them too
NS_PER_MS = 1_000_000
NS_BEFORE_END = 1_000  # a window ends 1 us before its stated end, both ends being inclusive


def to_ns(seconds: np.ndarray) -> np.ndarray:
    """Seconds to whole nanoseconds: nine decimals of the fraction, then truncation; unknown ones become `MISSING`."""
    known = is_known(seconds)
    seconds = np.where(known, seconds, 0.0)
    whole = np.trunc(seconds)
    fraction = np.round(seconds - whole, 9)
    ns = whole.astype(np.int64) * 10**9 + (fraction * 1e9).astype(np.int64)
    return np.where(known, ns, MISSING)


def is_known(seconds: np.ndarray) -> np.ndarray:
    """Which times are stated: neither NaN, nor infinite, nor farther off than a recording can last."""
    return np.abs(seconds) < LATEST_S


@dataclass(frozen=True)
class Windows:
    """Bins taken from the recording, one window per trial.

    Args:
        first: index of the first bin, (trial,).
        count: bins taken, (trial,); fewer than `n_bins` where a window is cut short.
        n_bins: bins of the tensor; those beyond `count` are unknown.
    """

    first: np.ndarray
    count: np.ndarray
    n_bins: int

    def bins(self) -> np.ndarray:
        """Index into the recording's bins, (trial, n_bins)."""
        return self.first[:, None] + np.arange(self.n_bins)

    def taken(self) -> np.ndarray:
        """Which of `bins` belong to the window, (trial, n_bins)."""
        return np.arange(self.n_bins) < self.count[:, None]


def cut(
    start_ns: np.ndarray, end_ns: np.ndarray, bin_ms: int, n_bins: int | None = None, bound_ns: np.ndarray | None = None
) -> Windows:
    """Windows from the first bin that starts at or after `start_ns` to the last that starts before `end_ns`.

    Args:
        start_ns, end_ns: (trial,).
        bin_ms: width of a bin.
        n_bins: bins of the tensor; the longest window's where not given.
        bound_ns: where a window must end at the latest (see `bounds`); windows may overlap where not given.
    """
    width = bin_ms * NS_PER_MS
    last_ns = end_ns - NS_BEFORE_END
    if bound_ns is not None:
        too_long = (bound_ns != MISSING) & (last_ns > bound_ns)
        last_ns = np.where(too_long, bound_ns - NS_BEFORE_END, last_ns)
    first = -(-start_ns // width)
    count = np.maximum(last_ns // width - first + 1, 0)
    return Windows(first, count, int(count.max(initial=0)) if n_bins is None else n_bins)


def bounds(start_ns: np.ndarray, next_trial_ns: np.ndarray) -> np.ndarray:
    """Where each window must end so that windows do not overlap.

    NLB takes, for trial i, the earlier of the start of window i + 1 and the start of the trial after trial i + 1.

    Args:
        start_ns: starts of the windows of the trials that are kept, (trial,).
        next_trial_ns: start of the trial that follows each in the file, kept or not; `MISSING` for the last.
    """
    earlier = np.where(next_trial_ns == MISSING, start_ns, np.minimum(start_ns, next_trial_ns))
    return np.append(earlier[1:], MISSING)


def draw_jitter(room_ms: np.ndarray, bin_ms: int, seed: int = 0) -> np.ndarray:
    """NLB's jitter of DMFC_RSG: whole bins, uniform from 0 to the room that each trial leaves, (trial,), int64.

    Args:
        room_ms: the largest shift of each trial, (trial,); NaN counts as none.
        bin_ms: width of a bin.
        seed: seed of numpy's legacy generator, one draw per trial in the order of the trials.
    """
    generator = np.random.RandomState(seed)  # the benchmark's published tensors come from this old generator
    room = np.floor((np.nan_to_num(room_ms, nan=0.0) / bin_ms).round(4))
    return (generator.random_sample(len(room)) * room).round().astype(np.int64)
