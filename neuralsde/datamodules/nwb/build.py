"""From open files to the tensors of two splits and what is needed to score them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from neuralsde.datamodules.nwb import psth
from neuralsde.datamodules.nwb.assemble import Cutter
from neuralsde.datamodules.nwb.reader import Recording
from neuralsde.datamodules.nwb.recipe import Recipe
from neuralsde.datamodules.nwb.selection import group_units, split_of_trials
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import DataError

REMEDY = "check data.phase and data.align, or draw the split with data.split_column=null"
REMEDY_DRAWN = "check data.phase, data.align and data.val_fraction"


def build_data(
    recording: Recording, test_file: Path | None, recipe: Recipe, phase: str, remedy: str = "give data.path"
) -> TrialData:
    """Tensors of an open recording and, in the phase `test`, of its test file."""
    cutter = Cutter(recording, recipe, group_units(recording, recipe))
    split = split_of_trials(recording, recipe)
    fitted = ["train"] if phase == "val" else ["train", "val"]
    train_rows = rows_of(split, fitted, recording, recipe)
    train = cutter.trials(train_rows, scored=False)
    check_window(train, cutter, train_rows)
    check_spikes(train, cutter)
    train = cutter.with_behavior(train, train_rows)
    eval_in_file = phase == "val" or test_file is None
    eval_rows = np.zeros(0, np.int64)
    if eval_in_file:
        eval_rows = rows_of(split, [phase], recording, recipe, remedy if phase == "test" else "")
    found = psth.conditions(cutter, np.sort(np.concatenate([train_rows, eval_rows])))
    if eval_in_file:
        scored = cutter.with_behavior(cutter.trials(eval_rows, scored=True), eval_rows)
    else:
        assert test_file is not None
        scored, test_ids = read_test_file(test_file, recipe)
        check_units(recording, test_file, cutter.units.ids[cutter.units.heldin], test_ids)
        eval_rows = np.full(len(scored), -1)
    if found:
        train = replace(train, condition=psth.condition_index(found, train_rows))
        scored = replace(scored, condition=psth.condition_index(found, eval_rows))
    return TrialData(
        name=recipe.group_name,
        spec=spec_of(train, cutter, len(found)),
        train=train,
        eval=scored,
        psth=psth.mean_responses(cutter, found),
        behavior_kind=kind_of(recipe),
        behavior_names=cutter.behavior_names(),
        condition_names=tuple(one.name for one in found),
        source=f"{recording.path.name}, phase {phase}, {recipe.bin_ms} ms bins",
    )


def rows_of(split: np.ndarray, wanted: list[str], recording: Recording, recipe: Recipe, remedy: str = "") -> np.ndarray:
    """Rows of the trials in the wanted splits, ascending.

    Raises:
        DataError: there is none.
    """
    rows = np.flatnonzero(np.isin(split, wanted))
    if not len(rows):
        names, numbers = np.unique(split, return_counts=True)
        there = ", ".join(f"{number} `{name}`" for name, number in zip(names, numbers, strict=True))
        drawn = not recipe.split_column or recipe.split_column not in recording.trials
        by = "drawn by data.val_fraction" if drawn else f"by column `{recipe.split_column}`"
        raise DataError(
            f"{recording.path}: no trial of the split {' or '.join(wanted)} ({by}, with a known `{recipe.align}`); "
            f"there are {there}; {remedy or (REMEDY_DRAWN if drawn else REMEDY)}."
        )
    return rows


def read_test_file(path: Path, recipe: Recipe) -> tuple[Trials, np.ndarray]:
    """Trials of a test file, and the ids of its held-in units."""
    with Recording(path) as recording:
        units = group_units(recording, recipe, with_heldout=False)
        rows = rows_of(split_of_trials(recording, recipe), ["test"], recording, recipe)
        cutter = Cutter(recording, recipe, units)
        trials = cutter.trials(rows, scored=True)
        check_window(trials, cutter, rows)
        check_spikes(trials, cutter)
        return trials, units.ids[units.heldin]


def check_units(recording: Recording, test_file: Path, train_ids: np.ndarray, test_ids: np.ndarray) -> None:
    if not np.array_equal(train_ids, test_ids):
        raise DataError(
            f"{test_file}: its {len(test_ids)} held-in units are not the {len(train_ids)} of {recording.path.name}; "
            "give the two files of one recording."
        )


def check_window(trials: Trials, cutter: Cutter, rows: np.ndarray) -> None:
    """Refuse a window that touches no trial, or in which nothing was recorded."""
    table, align, (low, high) = cutter.table, cutter.recipe.align, cutter.recipe.window_ms
    start, stop = table.numbers("start_time")[rows], table.numbers("stop_time")[rows]
    zero = table.numbers(align, "align")[rows]
    outside = (zero + high / 1000 <= start) | (zero + low / 1000 >= stop)
    if outside.all() or np.isnan(trials.heldin).all():
        raise DataError(
            f"{cutter.recording.path}: the window of {low} to {high} ms around `{align}` lies outside every trial "
            f"(trials last {1000 * np.min(stop - start):.0f} to {1000 * np.max(stop - start):.0f} ms); "
            "change data.window_ms or data.align."
        )


def check_spikes(trials: Trials, cutter: Cutter) -> None:
    """Refuse trials without a single spike of the held-in or of the held-out units, as times in ms would give."""
    for what, counts in (("held-in", trials.heldin), ("held-out", trials.heldout)):
        if counts is not None and not np.nansum(counts):
            raise DataError(
                f"{cutter.recording.path}: none of the spikes of {counts.shape[2]} {what} units falls into one of "
                f"{len(counts)} trials' windows; spike times must be in seconds from the start of the session, as the "
                "trials' times are."
            )


def spec_of(train: Trials, cutter: Cutter, n_conditions: int) -> DataSpec:
    recipe, units = cutter.recipe, cutter.units
    return DataSpec(
        observed_dim=len(units.heldin),
        target_dim=len(units.heldin) + len(units.heldout),
        observed_bins=recipe.n_bins,
        forward_bins=recipe.forward_bins,
        bin_width_s=recipe.bin_ms / 1000,
        behavior_dim=0 if train.behavior is None else train.behavior.shape[-1],
        n_conditions=n_conditions,
    )


def kind_of(recipe: Recipe) -> str:
    if recipe.behavior:
        return "continuous"
    return "timing" if recipe.trial_behavior else ""
