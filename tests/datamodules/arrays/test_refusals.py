"""Whatever is wrong with a file or a setting is answered by one sentence that names it."""

import numpy as np
import pytest

from neuralsde.datamodules.arrays import ArrayData
from neuralsde.errors import ConfigError, DataError
from tests.datamodules.arrays.conftest import save


def changed(array, index, value):
    array = np.array(array, dtype=float)
    array[index] = value
    return array


COUNTS = np.ones((40, 12, 9))
FILES = {
    "array": (
        {"spikes": None},
        {},
        r"holds no array `spikes` \(data.spikes\); give one of those there are.*: length, hand_vel",
    ),
    "misspelt": ({}, {"behavior": ["hand_val"]}, r"holds no array `hand_val` \(data.behavior\).*perhaps `hand_vel`"),
    "misspelt length": ({}, {"length": "lenght"}, r"no array `lenght` \(data.length\)"),
    "dimensions": ({"spikes": np.ones(5)}, {}, r"`spikes` has shape \(5,\); \(trial, bin, unit\) of trials, or \(bin, unit\)"),
    "empty": ({"spikes": np.ones((0, 3, 2))}, {}, r"`spikes` has shape \(0, 3, 2\)"),
    "words": ({"spikes": np.full((40, 12, 9), "x")}, {}, "holds <U1; numbers are needed"),
    "negative": ({"spikes": changed(COUNTS, (3, 2, 1), -4)}, {}, "holds -4 at trial 3, bin 2, unit 1, which is no spike count"),
    "fraction": ({"spikes": changed(COUNTS, (3, 2, 1), 0.5)}, {}, "holds 0.5 at trial 3, bin 2, unit 1"),
    "infinite": ({"spikes": changed(COUNTS, (3, 2, 1), np.inf)}, {}, "holds inf at trial 3, bin 2, unit 1"),
    "nan": ({"spikes": changed(COUNTS, (3, 2, 1), np.nan)}, {}, "holds nan at trial 3, bin 2, unit 1"),
    "infinite real": (
        {"spikes": changed(COUNTS, (3, 2, 1), np.inf)},
        {"kind": "real"},
        r"`spikes` is infinite at index \[3, 2, 1\]",
    ),
    "length beyond": (
        {"length": changed(np.full(40, 12), 6, 13)},
        {},
        "`length` is 13 in trial 6, but trials have 1 to 12 bins",
    ),
    "length zero": ({"length": changed(np.full(40, 12), 6, 0)}, {}, "`length` is 0 in trial 6"),
    "length shape": ({"length": np.full(39, 12)}, {}, r"`length` has shape \(39,\); one number for each of 40 trials"),
    "behaviour": (
        {"hand_vel": np.ones((40, 11, 2))},
        {"behavior": ["hand_vel"]},
        r"`hand_vel` has shape \(40, 11, 2\), but `spikes` has \(trial, bin\) \(40, 12\)",
    ),
    "behaviour axes": (
        {"hand_vel": np.ones((40, 12, 2, 2))},
        {"behavior": ["hand_vel"]},
        r"`hand_vel` has shape \(40, 12, 2, 2\)",
    ),
    "infinite behaviour": (
        {"hand_vel": changed(np.ones((40, 12, 2)), (1, 0, 1), np.inf)},
        {"behavior": ["hand_vel"]},
        r"infinite at index \[1, 0, 1\]",
    ),
    "channels": (
        {},
        {"behavior": ["hand_vel"], "behavior_channels": {"hand_vel": [0, 2]}},
        r"for \[0, 2\], but it has 2 channels",
    ),
    "angles": ({}, {"angles": ["hand_vel"]}, r"`hand_vel` \(data.angles\) has shape \(40, 12, 2\); one angle per bin"),
    "conditions": (
        {"direction": np.ones(39)},
        {"condition": "direction"},
        r"`direction` has shape \(39,\) of float64; one number or",
    ),
    "steps": (
        {"number": changed(np.tile(np.arange(12), (40, 1)), (4, 3), 2)},
        {"timestep": "number"},
        "goes from 2 to 2 in trial 4",
    ),
    "bin width": ({"bin_ms": None}, {}, "holds no `bin_ms`, so give .* as data.bin_width_s"),
    "bin widths": ({}, {"bin_width_s": 0.02}, "data.bin_width_s is 0.02, but .* says bin_ms 50"),
    "bad width": ({"bin_ms": np.array(0)}, {}, "`bin_ms` is 0; one number of milliseconds above 0"),
    "few trials": ({"spikes": COUNTS[:2], "length": None}, {}, "There are 2 trials for 3 splits"),
    "few training": ({"spikes": COUNTS[:4], "length": None}, {"shares": [0.2, 0.4, 0.4]}, "There are 4 trials for 3 splits"),
    "observed bins": ({}, {"observed_bins": 10, "forward_bins": 3}, "but the trials of .* have up to 12 bins"),
    "forward bins": ({}, {"forward_bins": 12}, "data.observed_bins is null and data.forward_bins 12"),
    "rebin": ({}, {"rebin": 13}, "data.rebin is 13, but .* has only 12 bins"),
    "no moving bin": (
        {},
        {"moving": {"array": "hand_vel", "above": 900.0}},
        "none of 40 trials keeps a bin; lower data.moving",
    ),
    "silent": (
        {"spikes": changed(COUNTS, (slice(None), slice(None), 4), 0)},
        {"silent_units": "refuse"},
        "1 of 9 units never fire in training trials: 4; set data.silent_units=drop",
    ),
    "all held out": ({}, {"heldout": list(range(9))}, "9 of 9 units are held out .* so the model sees none; hold out fewer"),
    "no such unit": ({}, {"heldout": [3, 9]}, "data.heldout names unit 9, but there are units 0 to 8"),
    "too many units": ({}, {"heldout": 9}, "data.heldout is 9, but there are 9 units; hold out 0 to 8"),
    "every": ({}, {"heldout_every": 10}, "data.heldout_every is 10, but there are 9 units"),
    "window of trials": ({}, {"window_bins": 4}, "data.window_bins is for a continuous recording, but `spikes` are trials"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_does_not_fit_is_refused(trials, case):
    replaced, settings, sentence = FILES[case]
    with pytest.raises((DataError, ConfigError), match=sentence) as caught:
        trials(replaced, **settings)[0].read()
    assert "\n" not in str(caught.value)


CONTINUOUS = {
    "no window": ({}, {"window_bins": None}, "is one continuous recording; give the bins of its windows as data.window_bins"),
    "long window": ({}, {"window_bins": 101}, r"data.window_bins is 101 .* but data.blocks=10 of the 1000 bins of .* have 100"),
    "gap": ({}, {"gap_bins": 81}, "data.window_bins is 20 and data.gap_bins 81"),
    "few blocks": ({}, {"blocks": 2}, "There are 2 blocks for 3 splits"),
    "count": ({"spikes": changed(np.ones((1000, 9)), (5, 6), -1)}, {}, "holds -1 at bin 5, unit 6"),
    "late count": (
        {"spikes": changed(np.ones((9000, 2)), (8000, 1), -1), "hand_vel": None},
        {},
        "holds -1 at bin 8000, unit 1",
    ),
    "behaviour": (
        {"hand_vel": np.ones((999, 3))},
        {"behavior": ["hand_vel"]},
        r"has shape \(999, 3\), but `spikes` has \(bin\)",
    ),
    "condition": ({}, {"condition": "angle"}, "data.condition is for trials, but `spikes` is one continuous recording"),
    "moving": ({}, {"moving": {"array": "hand_vel", "above": 1.0}}, "data.moving is for trials"),
    "gaps everywhere": (
        {"spikes": changed(np.ones((1000, 9)), slice(0, 1000, 15), np.nan)},
        {},
        "no window of 20 bins fits into the split `train`",
    ),
}


@pytest.mark.parametrize("case", CONTINUOUS)
def test_a_continuous_recording_that_does_not_fit_is_refused(continuous, case):
    replaced, settings, sentence = CONTINUOUS[case]
    with pytest.raises((DataError, ConfigError), match=sentence):
        continuous(replaced, **settings)[0].read()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"hedlout": 3}, "data.hedlout is no setting of a recording of arrays"),
        ({"phase": "train"}, "data.phase is `train`; give `val` or `test`"),
        ({"phase": "test", "shares": [0.8, 0.2, 0]}, "data.phase is `test`, but data.shares=.* leave it nothing"),
        ({"shares": [0.5, 0.2, 0.2]}, "add up to 1"),
        ({"shares": [0.0, 0.5, 0.5]}, "the first one above"),
        ({"shares": [0.5, 0.5]}, r"data.shares is \[0.5, 0.5\]; give three numbers"),
        ({"kind": "spikes"}, "data.kind is `spikes`; give counts or real"),
        ({"silent_units": "keep"}, "data.silent_units is `keep`; give drop or refuse"),
        ({"heldout": 2, "heldout_every": 4}, "data.heldout and data.heldout_every are both given"),
        ({"heldout": "all"}, "data.heldout is all; give a whole number, a list of them, or null"),
        ({"heldout_every": 1}, "data.heldout_every is 1; give 2 or above"),
        ({"rebin": 0}, "data.rebin is 0; give 1 or above"),
        ({"rebin": 1.5}, "data.rebin is 1.5; give a whole number"),
        ({"rebin": 2, "timestep": "number"}, "data.timestep says that some were left out"),
        ({"window_bins": 5, "forward_bins": 5}, "leave bins to observe"),
        ({"bin_width_s": -1.0}, "data.bin_width_s is -1.0; give a number of seconds above 0"),
        ({"moving": {"array": "hand_vel"}}, "data.moving is .*; give {array: name, above: speed}"),
        ({"moving": {"array": "hand_vel", "above": "fast"}}, "data.moving is .*; give {array: name, above: speed}"),
        ({"behavior": "hand_vel"}, r"data.behavior is hand_vel; give a list of names"),
        ({"behavior": ["a"], "angles": ["a"]}, "name `a` twice"),
        ({"behavior_channels": {"a": [0]}}, "data.behavior_channels names `a`, but data.behavior is"),
        ({"gap_bins": -1}, "data.gap_bins is -1; give 0 or above"),
        ({"resample": 1}, "data.resample is 1; give true or false"),
        ({"epoch_trials": 0}, "data.epoch_trials is 0"),
        ({"batch_size": 0}, "data.batch_size is 0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_impossible_settings_are_refused_before_the_file_is_looked_for(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ArrayData("absent.npz", **settings)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"absent\.npz: there is no such file; give data.path="):
        ArrayData(tmp_path / "absent.npz").read()


def test_a_file_of_another_ending_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"give a file whose name ends in \.npz, \.h5, \.hdf5"):
        ArrayData(tmp_path / "recording.mat").read()


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_text_and_truncated_files_are_refused(tmp_path, ending):
    path = tmp_path / f"file.{ending}"
    path.write_text("trial,bin,unit\n")
    with pytest.raises(DataError, match=r"no \.npz archive|this is no HDF5 file"):
        ArrayData(path).read()
    save(path, {"spikes": np.ones((40, 12, 9)), "bin_ms": np.array(20)})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"the archive is cut short|the file is cut short"):
        ArrayData(path).read()


def test_a_damaged_array_is_refused(tmp_path):
    path = save(tmp_path / "file.npz", {"spikes": np.random.default_rng(0).poisson(2, (40, 12, 9)), "bin_ms": np.array(20)})
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"array `spikes` cannot be read .*CRC.* it is damaged"):
        ArrayData(path).read()


def test_pickled_objects_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "trap"), "w"))

    path = tmp_path / "objects.npz"
    np.savez(path, spikes=np.array([Trap()], dtype=object), bin_ms=np.array(20))
    with pytest.raises(DataError, match=r"array `spikes` cannot be read .* never unpickled"):
        ArrayData(path).read()
    assert not (tmp_path / "trap").exists()
