"""Continuous recordings: blocks, windows, and windows drawn anew in each epoch."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from neuralsde.datamodules.arrays import ArrayData
from neuralsde.evaluation import smoothing
from neuralsde.evaluation.baselines import baseline_table
from neuralsde.evaluation.load import load
from neuralsde.workflow import train
from tests.datamodules.arrays.conftest import LONG, continuous_arrays, save
from tests.helpers.tiny import tiny_config

WIDE = 10_000
"""Bins of a window as long as hours."""


def firsts(split):
    """First bin of each window, by the unit that counts the bins."""
    return split.heldin[:, 0, 0].astype(int)


def owner(make, **settings):
    """Which split each bin of the recording is in: 0 none, 1 training, 2 validation, 3 test."""
    bins = np.zeros(LONG, int)
    for phase, number in (("val", 2), ("test", 3)):
        data = make(phase=phase, **settings)[0].data
        for split, index in ((data.train, 1), (data.eval, number)):
            for first in firsts(split):
                assert (bins[first : first + 20] % index == 0).all()
                bins[first : first + 20] = index
    return bins


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_windows_are_slices_that_lie_side_by_side_in_blocks(continuous, ending):
    module, arrays = continuous(ending=ending, behavior=["hand_vel"], behavior_channels={"hand_vel": [0, 1]}, heldout=[8, 3])
    assert (module.spec.observed_bins, module.spec.observed_dim, module.spec.target_dim) == (20, 7, 9)
    data = module.data
    for split in (data.train, data.eval):
        for row, first in enumerate(firsts(split)):
            window = slice(first, first + 20)
            np.testing.assert_array_equal(split.heldin[row], arrays["spikes"][window][:, [0, 1, 2, 4, 5, 6, 7]])
            np.testing.assert_array_equal(split.heldout[row], arrays["spikes"][window][:, [3, 8]])
            np.testing.assert_allclose(split.behavior[row], arrays["hand_vel"][window, :2], rtol=1e-6)
            assert first // 100 == (first + 19) // 100
        np.testing.assert_array_equal(split.trial_id, firsts(split))
    assert len(data.train) == 5 * 6
    assert len(data.eval) == 5 * 2


def test_blocks_are_drawn_among_the_splits_without_overlap(continuous):
    bins = owner(continuous)
    assert np.count_nonzero(bins == 0) == 0
    blocks = bins.reshape(10, 100)
    assert (blocks == blocks[:, :1]).all()
    assert sorted(blocks[:, 0].tolist()) == [1] * 6 + [2] * 2 + [3] * 2
    assert not np.array_equal(bins, owner(continuous, split_seed=5))


def test_gaps_keep_the_splits_apart(continuous):
    bins = owner(continuous, gap_bins=13)
    used = np.flatnonzero(bins)
    for before, after in pairwise(used):
        if bins[before] != bins[after]:
            assert after - before > 13
    assert (bins == 0).any()


def drawn(module, epochs):
    module.setup()
    loader = module.train_dataloader()
    found = []
    for epoch in epochs:
        loader.sampler.set_epoch(epoch)
        found.append(list(loader))
    return found


def test_training_windows_are_drawn_anew_in_each_epoch_by_the_seed_alone(continuous):
    module, arrays = continuous(heldout=[8], forward_bins=5)
    one, two, again = drawn(module, (0, 1, 0))
    assert sum(len(batch.index) for batch in one) == len(module.data.train)
    assert all(torch.equal(a.targets, b.targets) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0].targets, two[0].targets)
    resumed = drawn(continuous(heldout=[8], forward_bins=5)[0], (1,))[0]
    assert all(torch.equal(a.targets, b.targets) for a, b in zip(two, resumed, strict=True))
    assert not torch.equal(drawn(continuous(heldout=[8], forward_bins=5, seed=1)[0], (0,))[0][0].targets, one[0].targets)
    for batch in one:
        for window, values in zip(batch.targets.numpy(), batch.values.numpy(), strict=True):
            first = int(window[0, 0])
            np.testing.assert_array_equal(window, arrays["spikes"][first : first + 20])
            np.testing.assert_array_equal(values, window[:15, :8])


def test_drawn_windows_fill_the_training_blocks_evenly_and_cross_no_edge(continuous):
    module, _ = continuous(epoch_trials=2000, gap_bins=7)
    (batches,) = drawn(module, (0,))
    first = np.concatenate([batch.targets[:, 0, 0].numpy() for batch in batches]).astype(int)
    assert len(first) == 2000
    assert (first // 100 == (first + 19) // 100).all()
    blocks = set((firsts(module.data.train) // 100).tolist())
    assert set((first // 100).tolist()) == blocks
    counts = np.bincount(first // 100, minlength=10)[sorted(blocks)]
    rooms = np.array([81 - 7 * (b - 1 not in blocks and b > 0) for b in sorted(blocks)])
    # Chi-square at 5 degrees of freedom, alpha 1e-4.
    expected = 2000 * rooms / rooms.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 25.7
    assert len(set(first.tolist())) > 400


def test_no_window_holds_a_bin_that_was_not_recorded(continuous):
    _, arrays = continuous()
    spikes = arrays["spikes"].astype(float)
    spikes[[150, 455, 456, 821]] = np.nan
    module, _ = continuous({"spikes": spikes}, epoch_trials=500)
    (batches,) = drawn(module, (0,))
    assert all(batch.known.all() for batch in batches)
    assert not np.isnan(module.data.train.heldin).any()
    whole = continuous(epoch_trials=500)[0].data
    assert len(module.data.train) + len(module.data.eval) < len(whole.train) + len(whole.eval)


def test_fixed_windows_are_trained_on_over_and_over_where_asked_for(continuous):
    one, two = drawn(continuous(resample=False)[0], (0, 1))
    assert sorted(int(i) for batch in one for i in batch.index) == sorted(int(i) for batch in two for i in batch.index)
    assert not torch.equal(one[0].index, two[0].index)


def test_rebinned_windows_equal_sums_of_the_file(continuous):
    module, arrays = continuous(rebin=5, window_bins=10, behavior=["hand_vel"], angles=["angle"])
    assert module.spec.bin_width_s == pytest.approx(0.1)
    sums = np.add.reduceat(arrays["spikes"], np.arange(0, LONG, 5), axis=0)
    cosine = np.cos(arrays["angle"].astype(np.float32)).reshape(-1, 5).mean(1)
    train = module.data.train
    for row, first in enumerate(train.trial_id):
        np.testing.assert_array_equal(train.heldin[row], sums[first : first + 10])
        np.testing.assert_allclose(train.behavior[row, :, 3], cosine[first : first + 10], rtol=1e-4, atol=1e-5)
    assert module.data.behavior_names == ("hand_vel 0", "hand_vel 1", "hand_vel 2", "cos angle", "sin angle")
    assert module.data.angle_channels == ((3, 4),)


def test_windows_have_the_smoothing_baseline_and_the_decoded_angle(continuous):
    table = baseline_table(continuous(heldout=[8], angles=["angle"], behavior=["hand_vel"])[0].data)
    assert set(table) == {"smoothing"}
    assert set(table["smoothing"]) == {"co_bps", "vel_r2", "angle_r2", "angle_error_deg"}
    assert 60 < table["smoothing"]["angle_error_deg"] < 120  # the counts know nothing of it


def test_windows_as_long_as_hours(tmp_path, rng, monkeypatch):
    spikes = rng.poisson(0.5, (5 * WIDE, 3)).astype(np.uint8)
    path = save(tmp_path / "hours.npz", {"spikes": spikes, "bin_ms": np.array(10)})
    module = ArrayData(path, 1, window_bins=WIDE, blocks=5, shares=(0.6, 0.2, 0.2), heldout=[2])
    (batches,) = drawn(module, (0,))
    assert [tuple(batch.targets.shape) for batch in batches] == [(1, WIDE, 3)] * 3
    monkeypatch.setattr(smoothing, "RIDGES", (300.0,))
    assert np.isfinite(baseline_table(module.data)["smoothing"]["co_bps"])


@pytest.mark.slow
def test_a_latent_sde_trains_on_it_and_a_resumed_run_equals_it(tmp_path, rng):
    arrays = continuous_arrays(rng)
    arrays["spikes"][:, 0] %= 3
    path = save(tmp_path / "long.npz", arrays)
    words = [
        "data=arrays", f"data.path={path}", "data.window_bins=10", "data.angles=[angle]", "data.behavior=[hand_vel]",
        "data.heldout_every=3", "data.batch_size=16", "model=latent_sde", "training.baselines=false", "schedule=constant",
    ]  # fmt: skip
    whole = train(tiny_config(tmp_path / "whole", *words))
    assert np.isfinite(whole)
    train(tiny_config(tmp_path / "part", *words, "trainer.max_epochs=1"))
    assert train(tiny_config(tmp_path / "part", *words, "ckpt=last")) == pytest.approx(whole, abs=1e-6)
    validation, test = (load(tmp_path / "whole", data={"phase": phase}) for phase in ("val", "test"))
    assert not set(validation.datamodule.data.eval.trial_id) & set(test.datamodule.data.eval.trial_id)
    assert test.predict(n_samples=1).rates.shape == (15, 10, 9)
