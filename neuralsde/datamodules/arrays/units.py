"""Which units are observed, which are held out, and which are left out since they are silent."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuralsde.datamodules.arrays.layout import Layout
from neuralsde.errors import ConfigError, DataError

MOST_NAMED = 12
"""Silent units that a sentence names."""


@dataclass(frozen=True)
class Units:
    """Units of a recording by their number in the file.

    Args:
        order: held-in ones, ascending, then held-out ones.
        n_heldin: how many of them are held in.
        note: says which were left out; empty where none was.
    """

    order: np.ndarray
    n_heldin: int
    note: str = ""


def choose_units(spikes: np.ndarray, layout: Layout, path: Path) -> Units:
    """Held-in and held-out units.

    Args:
        spikes: of each unit in the training trials, (unit,).
        layout: the settings.
        path: of the file.

    Raises:
        ConfigError: a unit to be held out is not there, or none is left to observe.
        DataError: units are silent and are to be refused.
    """
    heldout = heldout_mask(len(spikes), layout)
    silent = ~(spikes > 0) if layout.kind == "counts" else np.zeros(len(spikes), bool)
    numbers, note = np.flatnonzero(silent), ""
    if len(numbers):
        named = ", ".join(map(str, numbers[:MOST_NAMED])) + ", …" * (len(numbers) > MOST_NAMED)
        note = f"{len(numbers)} of {len(spikes)} units never fire in training trials: {named}"
        if layout.silent_units == "refuse":
            raise DataError(f"{path}: {note}; set data.silent_units=drop to leave them out.")
    heldin = np.flatnonzero(~heldout & ~silent)
    if not len(heldin):
        raise ConfigError(
            f"{path}: {np.count_nonzero(heldout)} of {len(spikes)} units are held out and {len(numbers)} are silent, so the "
            "model sees none; hold out fewer."
        )
    return Units(np.concatenate([heldin, np.flatnonzero(heldout & ~silent)]), len(heldin), note)


def heldout_mask(n: int, layout: Layout) -> np.ndarray:
    """Which of `n` units are held out, (unit,), bool.

    Raises:
        ConfigError: a number or a count does not fit the units that there are.
    """
    mask = np.zeros(n, bool)
    if layout.heldout_every is not None:
        mask[layout.heldout_every - 1 :: layout.heldout_every] = True
        if not mask.any():
            raise ConfigError(f"data.heldout_every is {layout.heldout_every}, but there are {n} units; give less.")
    wanted = layout.heldout
    if isinstance(wanted, int):
        if not 0 <= wanted < n:
            raise ConfigError(f"data.heldout is {wanted}, but there are {n} units; hold out 0 to {n - 1} of them.")
        mask[np.random.default_rng(layout.split_seed).permutation(n)[:wanted]] = True
    elif wanted is not None:
        if bad := [unit for unit in wanted if not 0 <= unit < n]:
            raise ConfigError(f"data.heldout names unit {bad[0]}, but there are units 0 to {n - 1}.")
        mask[list(wanted)] = True
    return mask
