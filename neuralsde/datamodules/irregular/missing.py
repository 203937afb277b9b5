"""Which values are taken away: each way draws from a generator of its own and gives the mask of what stays."""

import zlib
from collections.abc import Callable

import numpy as np
import torch

TORCH_SEED = 56789
"""Seed of the generator that every MuJoCo table of this line of papers drops time points with."""


def shared(length: np.ndarray, n_channels: int, rate: float, seed: int) -> np.ndarray:
    """Whole time points dropped: of each series int(length · rate) of them, in all channels.

    Args:
        length: rows of each series, (series,).
        n_channels: channels.
        rate: share of the rows that are dropped.
        seed: of the generator.

    Returns:
        what stays, (series, row, channel), bool.
    """
    kept, rng = np.zeros((len(length), int(length.max()), n_channels), bool), np.random.default_rng(seed)
    for row, n in zip(kept, length, strict=True):
        row[:n] = True
        row[rng.permutation(n)[: int(n * rate)]] = False
    return kept


def per_channel(length: np.ndarray, n_channels: int, rate: float, seed: int) -> np.ndarray:
    """Time points dropped in each channel on its own; arguments and result as `shared`."""
    kept, rng = np.zeros((len(length), int(length.max()), n_channels), bool), np.random.default_rng(seed)
    for row, n in zip(kept, length, strict=True):
        row[:n] = True
        for channel in range(n_channels):
            row[rng.permutation(n)[: int(n * rate)], channel] = False
    return kept


def torch_generator_56789(length: np.ndarray, n_channels: int, rate: float, seed: int = TORCH_SEED) -> np.ndarray:
    """Whole time points dropped, bit for bit as the published MuJoCo benchmark does; arguments and result as `shared`."""
    generator = torch.Generator().manual_seed(seed)
    kept = np.zeros((len(length), int(length.max()), n_channels), bool)
    for row, n in zip(kept, length.tolist(), strict=True):
        row[:n] = True
        row[torch.randperm(n, generator=generator)[: int(n * rate)].numpy()] = False
    return kept


OPERATORS: dict[str, Callable[[np.ndarray, int, float, int], np.ndarray]] = {"shared": shared, "per_channel": per_channel}
"""Ways to drop values from classified series, by their name in a config."""


def timepoints_per_record(
    values: np.ndarray, names: np.ndarray, share: float, seed: int, epoch: int | None = None
) -> np.ndarray:
    """Values with whole time points hidden: of the n rows of a series that hold any value, int(n · share) stay.

    The draw of a series depends on its name, the seed and the epoch alone: not on the split it is in, nor on its place there.

    Args:
        values: (series, row, channel), NaN where unknown.
        names: of the series.
        share: of the time points that stay; one stays where the share leaves none.
        seed: of the draw.
        epoch: draws anew for each; None for a draw that is held, such as that of test series.

    Returns:
        the values that stay, NaN elsewhere.
    """
    out = np.full_like(values, np.nan)
    for hidden, series, name in zip(out, values, names.tolist(), strict=True):
        rows = np.flatnonzero(~np.isnan(series).all(-1))
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), *([] if epoch is None else [1, epoch])])
        stay = np.sort(rng.permutation(rows)[: max(int(len(rows) * share), min(len(rows), 1))])
        hidden[stay] = series[stay]
    return out
