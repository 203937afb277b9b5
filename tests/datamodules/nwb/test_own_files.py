"""The user's own NWB file: no split, no held-out units, no observed intervals, behaviour on a clock of its own."""

from itertools import pairwise

import h5py
import numpy as np
import pytest

from tests.datamodules.nwb.conftest import datamodule
from tests.helpers.nwb_files import Session, write_session

N_TRIALS, N_UNITS = 20, 8
SETTINGS = {"align": "cue_time", "window_ms": [-100, 300], "bin_width_s": 0.01, "forward_ms": 100}


def wave(t):
    """Slow enough to pass the anti-aliasing filter: 1 Hz and 2 Hz."""
    return np.stack([np.sin(2 * np.pi * t), np.cos(4 * np.pi * t)], axis=1)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """One file of one recording, as pynwb writes it by default."""
    rng = np.random.default_rng(0)
    start = np.arange(N_TRIALS) * 1.5
    trials = {
        "start_time": start,
        "stop_time": start + 1.2,
        "cue_time": start + rng.uniform(0.2, 0.5, N_TRIALS),
        "result": np.tile(["R", "F"], N_TRIALS // 2),
        "side": np.repeat(["left", "right"], N_TRIALS // 2),
        "reward": rng.uniform(size=N_TRIALS),
    }
    spikes = [np.sort(rng.uniform(0, 30.0, 400)) for _ in range(N_UNITS)]
    slow, fast = np.arange(3000) / 100 + 0.003, np.arange(60000) / 2000
    series = {
        "wheel": ((0.003, 100.0), wave(slow), "a,b"),  # 100 Hz from starting_time and rate
        "stick": ((0.0, 2000.0), wave(fast), "b,a"),  # 2 kHz
        "tongue": (slow + 0.0004, wave(slow)[:, 0], "t"),  # one channel, timestamps off the grid
        "pupil": (fast[:20000:20], wave(fast[:20000:20]), "x,y"),  # stops after 10 s
    }
    path = tmp_path_factory.mktemp("own") / "monday.nwb"
    return write_session(path, Session(trials, None, spikes, None, series))


def read(own, **settings):
    return datamodule("nwb", own, **(SETTINGS | settings)).data


def test_splits_and_held_out_units_are_drawn(own):
    data = read(own)
    assert (len(data.train), len(data.eval)) == (16, 4)
    assert (data.spec.observed_dim, data.spec.target_dim) == (6, 8)
    assert (data.spec.observed_bins, data.spec.forward_bins) == (40, 10)
    assert not np.isnan(data.train.heldin).any()
    assert set(data.train.trial_id) | set(data.eval.trial_id) == set(range(N_TRIALS))
    np.testing.assert_array_equal(read(own).train.trial_id, data.train.trial_id)
    assert set(read(own, split_seed=1).eval.trial_id) != set(data.eval.trial_id)


def test_counts_are_those_of_the_spike_times(own):
    data = read(own, heldout_fraction=0.5, split_seed=3)
    with h5py.File(own) as file:
        ends = np.append(0, file["units/spike_times_index"][:])
        spikes = [file["units/spike_times"][a:b] for a, b in pairwise(ends)]
        cue = file["intervals/trials/cue_time"][:]
    # every window starts at the first whole bin at or after the cue - 100 ms
    first = np.ceil(np.round((cue[data.train.trial_id] - 0.1) / 0.01, 6))
    total = sum(np.histogram(s, np.arange(5000) * 0.01)[0] for s in spikes)
    expected = np.stack([total[int(f) : int(f) + 40] for f in first])
    np.testing.assert_array_equal(data.train.heldin.sum(2) + data.train.heldout.sum(2), expected)


@pytest.mark.parametrize("series", ["wheel", "stick", "tongue"])
def test_behavior_at_any_rate(own, series):
    data = read(own, behavior=series)
    with h5py.File(own) as file:
        cue = file["intervals/trials/cue_time"][:]
    first = np.ceil(np.round((cue[data.train.trial_id] - 0.1) / 0.01, 6))
    times = (first[:, None] + np.arange(40)) * 0.01
    truth = np.stack([wave(t) for t in times])
    if series == "stick":
        assert data.behavior_names == ("a", "b")  # in the order of their names
        truth = truth[:, :, ::-1]
    elif series == "tongue":
        truth = truth[:, :, :1]
    inside = (times > 0.5) & (times < 29)  # the filter's edges
    assert np.abs(data.train.behavior - truth)[inside].max() < 0.02
    assert data.behavior_kind == "continuous"


def test_behavior_that_stops_is_nan(own):
    data = read(own, behavior="pupil")
    late = data.train.trial_id * 1.5 > 10
    assert np.isnan(data.train.behavior[late]).all()
    assert not np.isnan(data.train.behavior[data.train.trial_id * 1.5 < 8]).any()


def test_channels_and_paths(own):
    data = read(own, behavior="processing/behavior/stick", behavior_channels=["a"])
    assert data.behavior_names == ("a",)
    assert data.spec.behavior_dim == 1
    by_number = read(own, behavior="behavior_stick", behavior_channels=[1])
    np.testing.assert_array_equal(by_number.train.behavior, data.train.behavior)


def test_filters(own):
    data = read(own, trial_filter={"result": "R"})
    assert len(data.train) + len(data.eval) == N_TRIALS // 2
    assert (np.concatenate([data.train.trial_id, data.eval.trial_id]) % 2 == 0).all()
    both = read(own, trial_filter={"result": ["R", "F"], "side": "left"})
    assert len(both.train) + len(both.eval) == N_TRIALS // 2


def test_conditions_of_text(own):
    data = read(own, condition_columns=["side", "result"])
    assert data.condition_names == tuple(f"side={s}, result={r}" for s in ("left", "right") for r in "FR")
    assert data.psth.shape == (4, 40, 8)
    assert (data.train.condition >= 0).all()


def test_trial_behavior_and_decoders(own):
    data = read(own, trial_behavior=["reward"], decode_mask_column="side")
    assert data.behavior_kind == "timing"
    assert data.train.behavior.shape == (16, 1)
    assert data.train.decode_mask.shape == (16, 2)
    assert (data.train.decode_mask.sum(1) == 1).all()


def test_windows_that_may_not_overlap_are_cut(own):
    cut = read(own, window_ms=[0, 1800], overlap=False, val_fraction=0.05, forward_ms=0)
    unknown = np.isnan(cut.train.heldin[:, :, 0])
    assert unknown[:-1, -1].any()
    assert not unknown[:, :100].any()
    whole = read(own, window_ms=[0, 1800], overlap=True, val_fraction=0.05, forward_ms=0)
    assert not np.isnan(whole.train.heldin[:-1]).any()


def test_no_forward_bins(own):
    data = read(own, forward_ms=0)
    assert data.spec.forward_bins == 0
    assert data.train.heldin_forward is None


def test_the_datamodule_batches_it(own):
    module = datamodule("nwb", own, **SETTINGS, batch_size=5)
    module.setup()
    batch = next(iter(module.train_dataloader()))
    assert tuple(batch.values.shape) == (5, 40, 6)
    assert tuple(batch.targets.shape) == (5, 50, 8)
    assert bool(batch.known.all())
