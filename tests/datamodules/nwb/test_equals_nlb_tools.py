"""Every tensor equals the benchmark's own, bit for bit in float32, on made-up and on real recordings."""

import itertools

import numpy as np
import pytest

from neuralsde.datamodules.nwb import binning
from tests.datamodules.nwb.conftest import datamodule
from tests.helpers.nlb_oracle import load_oracle, oracle_tensors, quiet
from tests.helpers.nwb_files import VARIANTS
from tests.helpers.shared import shared_path

# nlb_tools' key: (split, field) of ours
TENSORS = {
    "train_spikes_heldin": ("train", "heldin"),
    "train_spikes_heldout": ("train", "heldout"),
    "train_spikes_heldin_forward": ("train", "heldin_forward"),
    "train_spikes_heldout_forward": ("train", "heldout_forward"),
    "train_behavior": ("train", "behavior"),
    "train_decode_mask": ("train", "decode_mask"),
    "train_jitter": ("train", "jitter"),
    "eval_spikes_heldin": ("eval", "heldin"),
    "target_spikes_heldout": ("eval", "heldout"),
    "eval_spikes_heldin_forward": ("eval", "heldin_forward"),
    "eval_spikes_heldout_forward": ("eval", "heldout_forward"),
    "eval_behavior": ("eval", "behavior"),
    "eval_decode_mask": ("eval", "decode_mask"),
    "eval_jitter": ("eval", "jitter"),
}


def assert_same(ours, theirs, what):
    theirs = np.asarray(theirs)
    assert ours is not None, f"{what}: we have none, nlb_tools has {theirs.shape}"
    assert ours.shape == theirs.shape, what
    np.testing.assert_array_equal(ours, theirs.astype(ours.dtype), err_msg=what)


def assert_equal_to_oracle(data, oracle):
    for key, (split, field) in TENSORS.items():
        if key in oracle:
            assert_same(getattr(getattr(data, split), field), oracle[key], key)
    if "psth" in oracle:
        assert_same(data.psth, oracle["psth"], "psth")
        for split in ("train", "eval"):
            condition = getattr(data, split).condition
            positions = [np.flatnonzero(condition == k) for k in range(len(oracle["psth"]))]
            for ours, theirs in zip(positions, oracle[f"{split}_cond_idx"], strict=True):
                np.testing.assert_array_equal(ours, theirs, err_msg=f"{split}_cond_idx")


FAST = {("mc_maze", 0, 0), ("dmfc_rsg", 1, 1)}


def halves(names):
    """The sets that are least alike, and every bin width and phase, in one test each; the others are in the slow lane."""
    every = itertools.product(names, enumerate([5, 20]), enumerate(["val", "test"]))
    return [
        pytest.param(name, bin_ms, phase, marks=[] if (name, j, k) in FAST else pytest.mark.slow)
        for name, (j, bin_ms), (k, phase) in every
    ]


@pytest.mark.parametrize(("name", "bin_ms", "phase"), halves(VARIANTS))
def test_made_up_pairs(pair, name, bin_ms, phase):
    data = datamodule(f"nlb_{name}", pair(name), bin_width_s=bin_ms / 1000, phase=phase).data
    oracle = oracle_tensors(pair(name), name, bin_ms, phase)
    assert_equal_to_oracle(data, oracle)
    assert data.name == (name if bin_ms == 5 else f"{name}_20")
    assert ("psth" in oracle) == (phase == "val" and name != "mc_rtt")


@pytest.mark.slow
def test_reach8_without_conditions():
    path = shared_path("data/neural/reach8")
    data = datamodule("reach8", path, condition_columns=[]).data
    assert_equal_to_oracle(data, oracle_tensors(path, "reach8", 20, "val", with_psth=False))


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["val", "test"])
@pytest.mark.parametrize("bin_ms", [5, 20])
@pytest.mark.parametrize("name", ["reach8", "plan8"])
def test_real_recordings(name, bin_ms, phase):
    path = shared_path(f"data/neural/{name}")
    data = datamodule(name, path, bin_width_s=bin_ms / 1000, phase=phase).data
    oracle = oracle_tensors(path, name, bin_ms, phase)
    if name == "plan8":  # has no behaviour, but nlb_tools insists on some
        oracle = {key: value for key, value in oracle.items() if "behavior" not in key}
    assert_equal_to_oracle(data, oracle)


@pytest.mark.slow
def test_genuine_test_file():
    path = shared_path("data/neural/sub-Jenkins_ses-small_desc-test_ecephys.nwb")
    make_tensors, nwb_interface = load_oracle()
    with quiet():
        dataset = nwb_interface.NWBDataset(str(path))
        dataset.resample(5)
        oracle = make_tensors.make_eval_input_tensors(dataset, "mc_maze_small", "test", save_file=False)
    trials = datamodule("nlb_mc_maze_small", path).read_test()
    assert_same(trials.heldin, oracle["eval_spikes_heldin"], "eval_spikes_heldin")
    assert trials.heldin.shape == (100, 140, 107)
    assert trials.heldout is None


def test_an_off_by_one_rule_is_seen(pair, monkeypatch):
    """Control: spikes put into the nearest millisecond instead of the one they fall in."""
    monkeypatch.setattr(binning, "to_ms", lambda seconds: np.round(seconds * 1000).astype(np.int64))
    data = datamodule("nlb_mc_maze", pair("mc_maze")).data
    with pytest.raises(AssertionError, match="train_spikes_heldin"):
        assert_equal_to_oracle(data, oracle_tensors(pair("mc_maze"), "mc_maze", 5, "val", with_psth=False))


def test_jitter_and_target_are_not_trivial(pair):
    """Control: the comparison above covers shifted windows and unscored bins."""
    data = datamodule("nlb_dmfc_rsg", pair("dmfc_rsg")).data
    assert len(np.unique(data.eval.jitter)) > 3
    unscored = np.isnan(data.eval.heldout[:, :, 0])
    assert 0.1 < unscored.mean() < 0.9
    last = data.eval.jitter[data.eval.jitter > 0][0]
    row = np.flatnonzero(data.eval.jitter > 0)[0]
    assert unscored[row, -last:].all()
    assert not unscored[row, -last - 1]
