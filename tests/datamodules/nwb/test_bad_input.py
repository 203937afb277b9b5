"""What is wrong with a file or a setting comes out as one sentence: what, where, and what to do."""

import shutil

import h5py
import numpy as np
import pytest
from hydra.errors import InstantiationException

from neuralsde.errors import ConfigError, DataError
from tests.datamodules.nwb.conftest import datamodule
from tests.helpers.shared import shared_path

VELOCITY = "processing/behavior/hand_vel/data"


@pytest.fixture
def maze(pair, tmp_path):
    """A folder with copies of the made-up maze files, free to be damaged."""
    folder = tmp_path / "maze"
    folder.mkdir()
    for file in pair("mc_maze").glob("*.nwb"):
        shutil.copy(file, folder)
    return folder


def train_file(folder):
    return next(folder.glob("*desc-train*"))


def refuses(folder, *parts, config="nlb_mc_maze", **settings):
    """Reading fails with one sentence that holds all of `parts`."""
    with pytest.raises(DataError) as caught:
        datamodule(config, folder, **settings).read()
    sentence = str(caught.value)
    assert "\n" not in sentence
    for part in parts:
        assert part in sentence, sentence


def test_no_folder(tmp_path):
    refuses(tmp_path / "nowhere", str(tmp_path), "`python -m neuralsde download nlb_mc_maze`", "--data-path")


def test_no_file_in_the_folder(tmp_path):
    refuses(tmp_path, "no .nwb file", "`python -m neuralsde download nlb_mc_maze`")


def test_a_broken_link(tmp_path):
    (tmp_path / "sub-X_desc-train_ecephys.nwb").symlink_to(tmp_path / "annexed")
    refuses(tmp_path, "cannot be read (a broken link", "download nlb_mc_maze")


def test_several_recordings(maze):
    shutil.copy(train_file(maze), maze / "other_desc-train_ecephys.nwb")
    refuses(maze, "several recordings", "give one file as data.path")


def test_not_hdf5(maze):
    train_file(maze).write_text("trial,unit\n1,2\n" * 100)
    refuses(maze, train_file(maze).name, "no HDF5", "give an .nwb file")


def test_truncated(maze):
    whole = train_file(maze).read_bytes()
    train_file(maze).write_bytes(whole[: len(whole) // 2])
    refuses(maze, train_file(maze).name, "cut short", "fetch it again")


def test_damaged_inside(maze):
    """A chunk that cannot be unpacked: HDF5 opens the file, and fails when the numbers are read."""
    with h5py.File(train_file(maze), "a") as file:
        times = file["units/spike_times"][:]
        del file["units/spike_times"]
        packed = file["units"].create_dataset("spike_times", data=times, compression="gzip", chunks=(1000,))
        at = packed.id.get_chunk_info(2).byte_offset
    with train_file(maze).open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * 64)
    refuses(maze, train_file(maze).name, "`/units/spike_times` cannot be read", "fetch it again")


def test_missing_column(maze):
    refuses(maze, "no column `move_onset`", "data.align", "perhaps `move_onset_time`", "go_cue_time", align="move_onset")


def test_missing_condition_column(maze):
    refuses(maze, "no column `trial_kind`", "data.condition_columns", condition_columns=["trial_kind"])


def test_a_column_of_lists(maze):
    refuses(maze, "`target_pos`", "holds lists", condition_columns=["target_pos"])


def test_a_column_of_text(maze):
    refuses(maze, "`split`", "holds text", "numbers are needed", align="split")


def rewrite(folder, name, change):
    """Put `change` of a dataset of the training file in its place."""
    with h5py.File(train_file(folder), "a") as file:
        values = change(file[name][()])
        del file[name]
        file[name] = values


@pytest.mark.parametrize("change", [lambda v: v[:-2], lambda v: np.append(v, v[:2])], ids=["short", "long"])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("trials", "start_time"), ("trials", "split"), ("trials", "trial_type"),
        ("units", "heldout"), ("units", "spike_times_index"),
    ],
)  # fmt: skip
def test_a_column_of_the_wrong_length(maze, table, column, change):
    place, n = ("units", 12) if table == "units" else ("intervals/trials", 24)
    rewrite(maze, f"{place}/{column}", change)
    found = len(change(np.zeros(n)))
    refuses(maze, train_file(maze).name, f"`{column}` of the {table} table has {found} rows, but the table has {n}; write")


def test_ids_of_the_wrong_length(maze):
    rewrite(maze, "intervals/trials/id", lambda v: v[:-2])
    refuses(maze, "has 24 rows, but the table has 22")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda v: v[::-1].copy(), "falls to"),
        (lambda v: -v.astype(np.int64), "falls to -"),
        (lambda v: v.astype(np.int64) + 10**6, "but `spike_times` has"),
        (lambda v: v + 0.5, "one integer per row"),
        (lambda v: v.reshape(-1, 2), "one integer per row"),
    ],
    ids=["falling", "negative", "past", "float", "2d"],
)
def test_a_damaged_index(maze, change, sentence):
    rewrite(maze, "units/spike_times_index", change)
    refuses(maze, "`spike_times_index` of the units table", sentence, "write the file again")


@pytest.mark.parametrize("position", [0, -1])
@pytest.mark.parametrize(("value", "found"), [(np.nan, "NaN"), (np.inf, "infinite")])
@pytest.mark.parametrize(("column", "rest"), [("spike_times", ()), ("obs_intervals", (1,))])
def test_times_that_are_not_finite(maze, column, rest, value, found, position):
    with h5py.File(train_file(maze), "a") as file:
        file[f"units/{column}"][(position, *rest)] = value
        unit = file["units/id"][position]
    refuses(maze, f"`{column}` of unit {unit} holds {found}", "write the file again")


def test_intervals_that_are_no_pairs(maze):
    rewrite(maze, "units/obs_intervals", np.ravel)
    refuses(maze, "`obs_intervals` of the units table has shape", "pairs of times")


def test_intervals_before_the_session(maze):
    rewrite(maze, "units/obs_intervals", np.negative)
    refuses(maze, "the recording would last -0.0", "times must be in seconds")


def test_a_stop_time_that_nobody_knows(maze):
    with h5py.File(train_file(maze), "a") as file:
        del file["units/obs_intervals"], file["units/obs_intervals_index"]
        file["intervals/trials/stop_time"][:] = np.nan
    assert datamodule("nlb_mc_maze", maze).data.spec.observed_dim == 8


def test_text_as_trial_ids(maze):
    rewrite(maze, "intervals/trials/id", lambda v: np.array([f"t{x}" for x in v], dtype=object))
    refuses(maze, "column `id` of the trials table holds text such as `t0`, but numbers are needed")


def test_timestamps_that_are_not_finite(maze):
    with h5py.File(train_file(maze), "a") as file:
        file["processing/behavior/hand_vel/timestamps"][7] = np.nan
    refuses(maze, "timestamps of behaviour series `hand_vel` hold NaN")


def test_no_trials(maze):
    with h5py.File(train_file(maze), "a") as file:
        del file["intervals/trials"]
    refuses(maze, "holds no trials", "`intervals/trials`")


def test_no_units(maze):
    with h5py.File(train_file(maze), "a") as file:
        del file["units"]
    refuses(maze, "holds no units", "sorted units")


def test_no_spike_times(maze):
    with h5py.File(train_file(maze), "a") as file:
        del file["units/spike_times"]
    refuses(maze, "no column `spike_times`")


def test_no_unit_held_out(maze):
    with h5py.File(train_file(maze), "a") as file:
        file["units/heldout"][:] = False
    refuses(maze, "none of 12 units is held out", "data.heldout_column=null")


def test_all_units_held_out(maze):
    with h5py.File(train_file(maze), "a") as file:
        file["units/heldout"][:] = True
    refuses(maze, "all 12 units are held out")


def test_a_draw_of_no_unit(maze):
    refuses(maze, "none of 12 units is held out", "raise data.heldout_fraction", heldout_column=None, heldout_fraction=0.01)


def test_a_window_outside_every_trial(maze):
    refuses(maze, "90000 to 90700 ms around `move_onset_time`", "outside every trial", window_ms=[90000, 90700])


def test_a_window_in_other_trials_only(pair):
    refuses(pair("mc_rtt"), "outside every trial", config="nlb_mc_rtt", window_ms=[700, 1300])


def test_an_empty_split(maze):
    with h5py.File(train_file(maze), "a") as file:
        file["intervals/trials/split"][:] = "train"
    refuses(maze, "no trial of the split val", "24 `train`", "data.phase")


def test_an_unknown_split_is_named_in_full(maze):
    with h5py.File(train_file(maze), "a") as file:
        split = file["intervals/trials/split"]
        split[:] = ["validation" if s == b"val" else s for s in split[()]]
    refuses(maze, "no trial of the split val (by column `split`", "8 `validation`")


def test_an_empty_draw(maze):
    refuses(maze, "drawn by data.val_fraction", "24 `train`", split_column=None, val_fraction=0.01)


def test_a_filter_that_leaves_nothing(maze):
    refuses(maze, "leaves none of 24 trials", trial_filter={"trial_type": 99})
    refuses(maze, "leaves none of 12 units", unit_filter={"heldout": [7]})


def test_unknown_behavior(maze):
    refuses(maze, "no behaviour series `hand_speed`", "data.behavior", "hand_pos, hand_vel", behavior="hand_speed")


def test_unknown_channel(maze):
    refuses(maze, "no channel `z`", "x, y", behavior_channels=["z"])


def test_behavior_of_nans(maze):
    with h5py.File(train_file(maze), "a") as file:
        file[VELOCITY][:] = np.nan
    refuses(maze, "hand_vel is NaN in all of 16 trials", "data.behavior_lag_ms")


def test_one_channel_of_nans(maze):
    with h5py.File(train_file(maze), "a") as file:
        file[VELOCITY][:, 1] = np.nan
    refuses(maze, train_file(maze).name, "`y` of `hand_vel` is NaN in all of 16 trials", "data.behavior_channels=[x]")
    assert datamodule("nlb_mc_maze", maze, behavior_channels=["x"]).data.spec.behavior_dim == 1


def reclock(folder, rate=None, start=0.0):
    """Take a series' timestamps away, and give it a starting time and a rate."""
    with h5py.File(train_file(folder), "a") as file:
        group = file[VELOCITY].parent
        del group["timestamps"]
        if start is not None:
            group["starting_time"] = start
        if rate is not None:
            group["starting_time"].attrs["rate"] = rate


@pytest.mark.parametrize(
    ("clock", "sentence"),
    [
        ({"start": None}, "neither timestamps nor a starting_time"),
        ({}, "rate is no positive number"),
        ({"rate": "fast"}, "rate is no positive number"),
        ({"rate": -1000.0}, "rate is no positive number"),
        ({"rate": np.array([1000.0, 2.0])}, "rate is no positive number"),
        ({"rate": np.nan}, "rate is no positive number"),
        ({"rate": 1000.0, "start": "x"}, "a starting_time that is no number"),
        ({"rate": 1000.0, "start": np.zeros(2)}, "a starting_time that is no number"),
    ],
    ids=str,
)
def test_a_series_without_a_clock(maze, clock, sentence):
    reclock(maze, **clock)
    refuses(maze, train_file(maze).name, "behaviour series `hand_vel`, asked for by data.behavior, has", sentence)


def test_a_series_of_text(maze):
    rewrite(maze, VELOCITY, lambda v: np.array(["fast"] * len(v), dtype=object))
    refuses(maze, "behaviour series `hand_vel`", "holds no numbers")


def test_timestamps_of_text(maze):
    rewrite(maze, "processing/behavior/hand_vel/timestamps", lambda v: np.array(["now"] * len(v), dtype=object))
    refuses(maze, "behaviour series `hand_vel`", "timestamps that are no list of numbers")


def test_no_spike_in_any_window(maze):
    rewrite(maze, "units/spike_times", np.negative)
    refuses(maze, train_file(maze).name, "none of the spikes of 8 held-in units", "must be in seconds")


def test_spike_times_in_milliseconds(maze):
    rewrite(maze, "units/spike_times", lambda v: v * 1000)
    refuses(maze, train_file(maze).name, "`spike_times` of the units table end at", "must be in seconds")


def test_behavior_with_some_nans_is_kept(maze):
    with h5py.File(train_file(maze), "a") as file:
        file[VELOCITY][:4000] = np.nan
    unknown = np.isnan(datamodule("nlb_mc_maze", maze).data.train.behavior)
    assert 0 < unknown.mean() < 1


def test_infinite_behavior(maze):
    with h5py.File(train_file(maze), "a") as file:
        file[VELOCITY][500] = np.inf
    refuses(maze, "`hand_vel` holds infinite values", "write NaN")


def test_behavior_outside_the_window(maze):
    refuses(maze, "hand_vel is NaN in all", behavior_lag_ms=90000)


def test_times_in_milliseconds(maze):
    with h5py.File(train_file(maze), "a") as file:
        file["units/obs_intervals"][:] *= 1e6
    refuses(maze, "hours", "times must be in seconds")


def test_files_of_two_recordings(maze, pair):
    with h5py.File(next(maze.glob("*desc-test*")), "a") as file:
        file["units/id"][:] += 1
    refuses(maze, "held-in units are not", "two files of one recording", phase="test")


def test_a_test_file_without_its_training_file(maze):
    train_file(maze).unlink()
    refuses(maze, "no training file", "`python -m neuralsde download nlb_mc_maze`", phase="test")
    assert datamodule("nlb_mc_maze", maze).read_test().heldin.shape == (6, 140, 8)


def test_a_training_file_without_its_test_file(maze):
    next(maze.glob("*desc-test*")).unlink()
    refuses(maze, "no trial of the split test", "download nlb_mc_maze", phase="test")


def test_a_genuine_test_file_alone():
    path = shared_path("data/neural/sub-Jenkins_ses-small_desc-test_ecephys.nwb")
    refuses(path, "no training file", "download nlb_mc_maze_small", config="nlb_mc_maze_small")


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"window_ms": [450, -250]}, ["data.window_ms", "from before to"]),
        ({"bin_width_s": 0.0025}, ["data.bin_width_s is 0.0025", "whole number of ms"]),
        ({"bin_width_s": 0.03}, ["no multiple of the bin width of 30 ms", "data.window_ms=[-250, 440]"]),
        ({"forward_ms": 203}, ["data.forward_ms spans 203 ms", "data.forward_ms=200"]),
        ({"window_ms": [-140.5, 160]}, ["data.window_ms is [-140.5, 160]", "whole ms"]),
        ({"window_ms": 100}, ["data.window_ms is 100", "[from, to]"]),
        ({"window_ms": None}, ["data.window_ms is null", "[from, to]"]),
        ({"forward_ms": -100}, ["data.forward_ms is -100", "0 or above"]),
        ({"forward_ms": "x"}, ["data.forward_ms is x", "a whole number"]),
        ({"behavior_lag_ms": 0.5}, ["data.behavior_lag_ms is 0.5", "a whole number"]),
        ({"bin_width_s": 1e9}, ["data.bin_width_s is 1000000000.0", "whole number of ms"]),
        ({"bin_width_s": float("nan")}, ["data.bin_width_s is nan", "give a number"]),
        ({"align": None}, ["data.align is null", "give a name"]),
        ({"trial_filter": "x"}, ["data.trial_filter is x", "{column: value}"]),
        ({"unit_filter": ["id"]}, ["data.unit_filter is ['id']", "{column: value}"]),
        ({"val_fraction": 2}, ["data.val_fraction is 2", "between 0 and 1"]),
        ({"heldout_fraction": 0}, ["data.heldout_fraction is 0", "between 0 and 1"]),
        ({"split_seed": -1}, ["data.split_seed is -1", "0 or above"]),
        ({"psth_kernel_ms": 0}, ["data.psth_kernel_ms is 0", "give 1 to"]),
        ({"behavior_channels": "x"}, ["data.behavior_channels is x", "list of names or numbers"]),
        ({"overlap": "x"}, ["data.overlap is x", "true or false"]),
        ({"phase": "train"}, ["data.phase is `train`"]),
        ({"binwidth": 5}, ["data.binwidth is no setting"]),
        ({"trial_behavior": ["rt"]}, ["data.behavior and data.trial_behavior"]),
    ],
    ids=str,
)
def test_impossible_settings(pair, settings, parts):
    with pytest.raises(InstantiationException) as caught:
        datamodule("nlb_mc_maze", pair("mc_maze"), **settings)
    assert isinstance(caught.value.__cause__, ConfigError)
    for part in parts:
        assert part in str(caught.value.__cause__)


def test_whole_floats_are_whole_numbers(pair):
    module = datamodule("nlb_mc_maze", pair("mc_maze"), window_ms=[-250.0, 450.0], psth_kernel_ms=50)
    assert repr(module.recipe.window_ms) == "(-250, 450)"
    assert repr(module.recipe.psth_kernel_ms) == "50.0"
