import hashlib
import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from neuralsde.datamodules.irregular.hopper import hopper_trajectories, main, normalised
from neuralsde.datamodules.irregular.mujoco import SHA256, MujocoForecast
from neuralsde.errors import ConfigError, DataError
from tests.helpers.shared import shared_path


@pytest.fixture
def trajectories(tmp_path):
    path = tmp_path / "paths.npy"
    np.save(path, np.random.default_rng(0).normal(size=(10, 30, 3)).astype(np.float32))
    return path


def reader(path, **settings):
    return MujocoForecast(path, **{"window": 12, "ahead": 4} | settings)


def test_windows_follow_each_other_within_a_trajectory_and_leave_the_last_start_out(trajectories):
    data, paths = reader(trajectories).read(), np.load(trajectories)
    assert [len(s) for s in (data.train, data.val, data.test)] == [98, 21, 21]  # of 10 trajectories × 14 starts
    np.testing.assert_array_equal(data.train.values[14 + 3], paths[1, 3:15])
    np.testing.assert_array_equal(data.test.ahead[-1], paths[9, 25:29])
    np.testing.assert_array_equal(data.test.ahead_times[0], np.arange(12, 16))
    assert data.train.names[17] == "trajectory 1 from step 3"


def test_steps_are_dropped_by_the_published_generator(trajectories):
    rate = 0.3
    data = reader(trajectories, missing_rate=rate, keep_empty_rows=True).read()
    generator = torch.Generator().manual_seed(56789)
    for series in data.train.values:
        dropped = torch.randperm(12, generator=generator)[: int(12 * rate)].numpy()
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(series).all(-1)), np.sort(dropped))
        assert np.isnan(series).sum() == 3 * len(dropped)


def test_dropped_steps_leave_no_rows_unless_asked_for(trajectories):
    grid, own = (reader(trajectories, missing_rate=0.5, keep_empty_rows=keep).read().val for keep in (True, False))
    assert own.values.shape[1] == 6
    assert (own.length == 6).all()
    for i in range(len(grid)):
        kept = ~np.isnan(grid.values[i]).all(-1)
        np.testing.assert_array_equal(own.times[i], grid.times[i, kept])
        np.testing.assert_array_equal(own.values[i], grid.values[i, kept])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"missing_rate": 1.3}, "data.reader.missing_rate is 1.3"),
        ({"missing_rate": -0.1}, "data.reader.missing_rate is -0.1"),
        ({"window": 0}, "data.window is 0"),
        ({"ahead": -4}, "data.ahead is -4"),
        ({"mask_seed": -1}, "data.reader.mask_seed is -1"),
    ],
)
def test_impossible_settings_are_named(trajectories, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        reader(trajectories, **settings)


def test_other_files_are_refused_by_what_is_wrong_with_them(tmp_path, trajectories):
    with pytest.raises(DataError, match="There is no file"):
        reader(tmp_path / "none.npy").read()
    flat, text, hole = tmp_path / "flat.npy", tmp_path / "text.npy", tmp_path / "hole.npy"
    np.save(flat, np.zeros((4, 5)))
    text.write_text("not an array")
    paths = np.load(trajectories)
    paths[2, 5, 1] = np.inf
    np.save(hole, paths)
    with pytest.raises(DataError, match=r"shape \(4, 5\)"):
        reader(flat).read()
    with pytest.raises(DataError, match="no array can be read"):
        reader(text).read()
    with pytest.raises(DataError, match="trajectory 2 is inf at step 5, channel 1"):
        reader(hole).read()
    with pytest.raises(DataError, match="give 0 windows"):
        reader(trajectories, window=28).read()


def test_the_published_file_is_known_and_splits_as_published():
    path = shared_path("data/mujoco/mujoco.npy")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
    data = MujocoForecast(path, 0.7).read()
    assert [len(s) for s in (data.train, data.val, data.test)] == [2800, 600, 600]
    assert (data.test.length == 15).all()
    assert data.channel_names[0] == "position_rootx"
    assert "the published file" in data.source


@pytest.fixture
def dm_control(monkeypatch):
    """A stand-in for the simulator: positions move by velocities, 5 ms a step."""
    state = SimpleNamespace(qpos=np.zeros(7), qvel=np.zeros(7))

    def step():
        state.qpos += 0.005 * state.qvel

    physics = SimpleNamespace(data=state, reset_context=nullcontext, step=step)
    package, suite = ModuleType("dm_control"), ModuleType("dm_control.suite")
    suite.load = lambda domain, task: SimpleNamespace(physics=physics)
    monkeypatch.setitem(sys.modules, "dm_control", package)
    monkeypatch.setitem(sys.modules, "dm_control.suite", suite)


def test_hopper_starts_are_those_of_the_recipe(dm_control, tmp_path):
    paths = hopper_trajectories(3, 4, seed=123)
    rng = np.random.RandomState(123)
    for path in paths:
        start = np.concatenate([rng.uniform(0, 0.5, 2), rng.uniform(-2, 2, 5), rng.uniform(-5, 5, 7)])
        np.testing.assert_array_equal(path[0], start)
        np.testing.assert_allclose(path[3, :7], start[:7] + 0.015 * start[7:])
    main(["--out", str(tmp_path / "hopper.npy"), "--trajectories", "12", "--steps", "20"])
    data = reader(tmp_path / "hopper.npy").read()
    assert len(data.train) + len(data.val) + len(data.test) == 12 * 4
    assert data.channel_names[-1] == "velocity_ankle"


def test_channels_are_normalised_by_least_and_largest():
    paths = np.random.default_rng(1).normal(size=(2, 5, 3))
    paths[..., 2] = 0.0
    found, rows = normalised(paths), paths.reshape(-1, 3)
    np.testing.assert_allclose(found[..., 0], (paths[..., 0] - rows[:, 0].min()) / rows[:, 0].max(), rtol=1e-5)
    assert (found[..., 2] == 0).all()


def test_a_missing_simulator_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "dm_control", None)
    with pytest.raises(ConfigError, match=r'needs dm_control: pip install "neuralsde\[mujoco\]"'):
        hopper_trajectories(1, 1, 0)
