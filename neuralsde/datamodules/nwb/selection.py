"""Which trials train and which score, which units are seen and which are withheld."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuralsde.datamodules.nwb.reader import Recording
from neuralsde.datamodules.nwb.recipe import Recipe
from neuralsde.datamodules.nwb.table import Table
from neuralsde.datamodules.nwb.windows import is_known
from neuralsde.errors import DataError


@dataclass(frozen=True)
class UnitGroups:
    """Rows of the units table, in the order of the units' ids.

    Args:
        heldin: units the model sees.
        heldout: units it must predict; empty in a test file.
        ids: id of every row.
    """

    heldin: np.ndarray
    heldout: np.ndarray
    ids: np.ndarray


def matching(table: Table, wanted: Mapping[str, Any] | None, setting: str) -> np.ndarray:
    """Which rows have the wanted values, (row,), bool.

    Raises:
        DataError: a column is missing, or no row is left.
    """
    kept = np.ones(len(table), bool)
    for column, values in (wanted or {}).items():
        kept &= np.isin(table.column(column, setting), np.atleast_1d(values))
    if not kept.any():
        raise DataError(f"{table.path}: data.{setting}={dict(wanted or {})} leaves none of {len(table)} {table.what}.")
    return kept


def group_units(recording: Recording, recipe: Recipe, with_heldout: bool = True) -> UnitGroups:
    """Held-in and held-out units, by the held-out column or, where there is none, by a seeded draw.

    Raises:
        DataError: no unit is held in, or none is held out although some must be.
    """
    units = recording.units
    ids = units.column("id")
    kept = np.flatnonzero(matching(units, recipe.unit_filter, "unit_filter"))
    kept = kept[np.argsort(ids[kept], kind="stable")]
    if recipe.heldout_column and recipe.heldout_column in units:
        out = (units.numbers(recipe.heldout_column, "heldout_column") != 0)[kept]
        remedy = "set data.heldout_column=null to draw them by data.heldout_fraction"
    else:
        out = np.zeros(len(kept), bool)
        n_out = round(recipe.heldout_fraction * len(kept))
        out[np.random.default_rng(recipe.split_seed).permutation(len(kept))[:n_out]] = True
        remedy = "raise data.heldout_fraction"
    if with_heldout and not out.any():
        raise DataError(f"{units.path}: none of {len(kept)} units is held out, so nothing can be scored; {remedy}.")
    if out.all():
        raise DataError(f"{units.path}: all {len(kept)} units are held out, so the model sees none; {remedy}.")
    return UnitGroups(kept[~out], kept[out], ids)


def split_of_trials(recording: Recording, recipe: Recipe) -> np.ndarray:
    """`train`, `val`, `test` or `none` for each trial, (trial,); trials that the filter drops are `none`.

    A file without the split column gets a seeded draw of `val_fraction`.
    """
    trials = recording.trials
    kept = matching(trials, recipe.trial_filter, "trial_filter")
    if recipe.split_column and recipe.split_column in trials:
        split = trials.column(recipe.split_column, "split_column").astype(np.str_)
    else:
        split = np.full(len(trials), "train")
        order = np.random.default_rng(recipe.split_seed).permutation(np.flatnonzero(kept))
        split[order[: round(recipe.val_fraction * len(order))]] = "val"
    aligned = is_known(trials.numbers(recipe.align, "align"))
    return np.where(kept & aligned, split, "none")
