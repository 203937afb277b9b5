"""Recordings of trials: what is read, split, held out, rebinned and filtered."""

import numpy as np
import pytest

from neuralsde.errors import NeuralSDEError
from neuralsde.evaluation.baselines import baseline_table
from neuralsde.evaluation.scores import score
from neuralsde.metrics import vel_r2


def known(arrays):
    """The counts, NaN beyond each trial's end."""
    inside = np.arange(arrays["spikes"].shape[1]) < arrays["length"][:, None]
    return np.where(inside[..., None], arrays["spikes"], np.nan), inside


@pytest.mark.parametrize("ending", ["npz", "h5", "hdf5"])
def test_every_trial_is_read_and_what_lies_beyond_its_end_is_unknown(trials, ending):
    module, arrays = trials(ending=ending, behavior=["hand_vel"], condition="direction", heldout=[2, 5])
    counts, inside = known(arrays)
    spec = module.spec
    assert (spec.observed_dim, spec.target_dim, spec.observed_bins, spec.bin_width_s) == (7, 9, 12, 0.05)
    assert (spec.behavior_dim, spec.n_conditions, spec.longest_s) == (2, 3, None)
    for split in (module.data.train, module.data.eval):
        rows = split.trial_id
        np.testing.assert_array_equal(split.heldin, counts[rows][..., [0, 1, 3, 4, 6, 7, 8]])
        np.testing.assert_array_equal(split.heldout, counts[rows][..., [2, 5]])
        np.testing.assert_array_equal(split.condition, arrays["direction"][rows])
        velocity = np.where(inside[..., None], arrays["hand_vel"], np.nan)[rows].astype(np.float32)
        np.testing.assert_array_equal(split.behavior, velocity)
    assert module.data.behavior_names == ("hand_vel 0", "hand_vel 1")
    assert module.data.condition_names == ("direction=0", "direction=1", "direction=2")


def test_the_split_is_disjoint_seeded_and_never_shows_the_third_part(trials):
    validation, test, other = (
        trials(phase=phase, split_seed=seed)[0].data for phase, seed in (("val", 0), ("test", 0), ("val", 1))
    )
    parts = [set(part.trial_id.tolist()) for part in (validation.train, validation.eval, test.eval)]
    assert [len(part) for part in parts] == [28, 6, 6]
    assert set.union(*parts) == set(range(40))
    np.testing.assert_array_equal(validation.train.trial_id, test.train.trial_id)
    np.testing.assert_array_equal(validation.eval.trial_id, trials()[0].data.eval.trial_id)
    assert set(other.train.trial_id.tolist()) != parts[0]


def test_what_the_test_trials_hold_changes_nothing_before_they_are_asked_for(trials, rng):
    module, arrays = trials(condition="direction", heldout_every=4)
    hidden = trials(phase="test")[0].data.eval.trial_id
    spikes = arrays["spikes"].copy()
    spikes[hidden] = np.where(spikes[hidden] < 0, -1, 70)
    changed, _ = trials({"spikes": spikes}, condition="direction", heldout_every=4)
    for name in ("heldin", "heldout"):
        for split in ("train", "eval"):
            before, after = (getattr(getattr(m.data, split), name) for m in (module, changed))
            np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(module.data.psth, changed.data.psth)


@pytest.mark.parametrize(
    ("settings", "heldout"),
    [({"heldout_every": 4}, [3, 7]), ({"heldout": [8, 0]}, [0, 8]), ({"heldout": 0}, []), ({}, [])],
)
def test_units_are_held_out_by_number(trials, settings, heldout):
    module, arrays = trials(**settings)
    counts, _ = known(arrays)
    train = module.data.train
    assert module.spec.target_dim - module.spec.observed_dim == len(heldout)
    if heldout:
        np.testing.assert_array_equal(train.heldout, counts[train.trial_id][..., heldout])
    else:
        assert train.heldout is None


def test_a_number_of_units_is_drawn_by_the_seed(trials):
    drawn = [trials(heldout=3, split_seed=seed)[0] for seed in (0, 0, 1)]
    sums = [np.nansum(m.data.train.heldout, (0, 1)) / len(m.data.train) for m in drawn]
    assert drawn[0].spec.observed_dim == 6
    np.testing.assert_array_equal(sums[0], sums[1])
    assert not np.array_equal(sums[0], sums[2])


def test_silent_units_are_left_out_and_named(trials):
    _, arrays = trials()
    spikes = arrays["spikes"].copy()
    spikes[..., [1, 6]] = np.minimum(spikes[..., [1, 6]], 0)
    module, _ = trials({"spikes": spikes}, heldout=[5, 6])
    assert (module.spec.observed_dim, module.spec.target_dim) == (6, 7)
    assert "2 of 9 units never fire in training trials: 1, 6" in module.data.source
    np.testing.assert_array_equal(module.data.train.heldout[..., 0], known(arrays)[0][module.data.train.trial_id, :, 5])


def test_last_bins_are_forecast(trials):
    module, arrays = trials(observed_bins=7, forward_bins=3, heldout_every=3)
    counts, _ = known(arrays)
    train = module.data.train
    assert (module.spec.observed_bins, module.spec.forward_bins) == (7, 3)
    np.testing.assert_array_equal(train.heldin_forward, counts[train.trial_id, 7:10][..., [0, 1, 3, 4, 6, 7]])
    np.testing.assert_array_equal(train.heldout_forward, counts[train.trial_id, 7:10][..., [2, 5, 8]])
    assert trials(forward_bins=2)[0].spec.observed_bins == 10


def test_rebinning_sums_counts_and_averages_behaviour_inside_each_trial(trials):
    module, arrays = trials(rebin=3, behavior=["hand_vel"])
    assert module.spec.bin_width_s == pytest.approx(0.15)
    assert module.spec.observed_bins == 4
    for split in (module.data.train, module.data.eval):
        for row, trial in enumerate(split.trial_id):
            whole = arrays["length"][trial] // 3
            for group in range(4):
                bins = slice(3 * group, 3 * group + 3)
                if group < whole:
                    np.testing.assert_array_equal(split.heldin[row, group], arrays["spikes"][trial, bins].sum(0))
                    velocity = arrays["hand_vel"][trial, bins].mean(0)
                    np.testing.assert_allclose(split.behavior[row, group], velocity, rtol=1e-5, atol=1e-5)
                else:
                    assert np.isnan(split.heldin[row, group]).all()
                    assert np.isnan(split.behavior[row, group]).all()


def test_only_moving_bins_are_kept_at_their_true_times(trials):
    module, arrays = trials(moving={"array": "hand_vel", "above": 6.0}, behavior=["hand_vel"])
    _, inside = known(arrays)
    moves = inside & (np.linalg.norm(arrays["hand_vel"], axis=-1) > 6)
    assert module.spec.observed_bins == moves.sum(1).max()
    longest_gap = longest = 0.0
    for split in (module.data.train, module.data.eval):
        for row, trial in enumerate(split.trial_id):
            bins = np.flatnonzero(moves[trial])
            n = len(bins)
            np.testing.assert_array_equal(split.heldin[row, :n], arrays["spikes"][trial, bins])
            np.testing.assert_allclose(split.behavior[row, :n], arrays["hand_vel"][trial, bins], rtol=1e-6)
            assert np.isnan(split.heldin[row, n:]).all()
            np.testing.assert_allclose(split.times[row, :n], 0.05 * (bins - bins[0]), atol=1e-6)
        assert (np.diff(split.times, axis=1) > 0.049).all()
        longest_gap = max(longest_gap, np.diff(split.times, axis=1).max())
        longest = max(longest, split.times[:, -1].max())
    assert module.spec.longest_gap_s >= longest_gap - 1e-6
    assert module.spec.longest_s >= longest - 1e-6


def test_a_trial_that_keeps_no_bin_is_left_out(trials):
    _, arrays = trials()
    velocity = arrays["hand_vel"].copy()
    velocity[7] = 0
    module, _ = trials({"hand_vel": velocity}, moving={"array": "hand_vel", "above": 0.5})
    others = trials({"hand_vel": velocity}, phase="test", moving=module.layout.moving)[0].data.eval
    found = {int(n) for split in (module.data.train, module.data.eval, others) for n in split.trial_id}
    assert found == set(range(40)) - {7}
    assert "1 trials keep no bin" in module.data.source


def test_numbered_bins_give_the_times(trials):
    _, arrays = trials()
    steps = np.tile(np.arange(12), (40, 1))
    steps[3, 4:] += 2
    replaced = {"length": np.full(40, 12), "spikes": np.abs(arrays["spikes"]), "number": steps + 5}
    module, other = (trials(replaced, timestep="number", phase=phase)[0] for phase in ("val", "test"))
    splits = module.data.train, module.data.eval, other.data.eval
    times = {trial: split.times[row] for split in splits for row, trial in enumerate(split.trial_id)}
    np.testing.assert_allclose(times[3], 0.05 * (steps[3] - steps[3, 0]), rtol=1e-6)
    np.testing.assert_allclose(times[4], 0.05 * np.arange(12), rtol=1e-6)
    assert module.spec.longest_gap_s == pytest.approx(0.15)


def test_real_values_keep_their_gaps(trials, rng):
    values = rng.normal(size=(40, 12, 9))
    values[rng.random(values.shape) < 0.1] = np.nan
    module, _ = trials({"spikes": values, "length": np.full(40, 12)}, kind="real", heldout=[0])
    assert module.kind == module.spec.kind == "real"
    np.testing.assert_array_equal(module.data.train.heldin, values[module.data.train.trial_id][..., 1:].astype(np.float32))
    assert {"linear_interpolation", "persistence", "training_mean"} == baseline_table(module.data).keys()


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_conditions_may_be_words_or_missing(trials, ending):
    words = np.array(["left", "right", "", "up"] * 10)
    words = [word.encode() for word in words] if ending == "h5" else words
    module, _ = trials({"direction": words}, ending=ending, condition="direction")
    train = module.data.train
    assert module.data.condition_names == ("direction=left", "direction=right", "direction=up")
    np.testing.assert_array_equal(train.condition, np.array([0, 1, -1, 2])[train.trial_id % 4])


def test_mean_responses_average_what_is_known_up_to_the_shortest_trial(trials):
    module, arrays = trials(condition="direction", heldout_every=4, psth_kernel_ms=0)
    counts, _ = known(arrays)
    rows = np.concatenate([module.data.train.trial_id, module.data.eval.trial_id])
    order = [0, 1, 2, 4, 5, 6, 8, 3, 7]
    for index in range(3):
        own = rows[arrays["direction"][rows] == index]
        shortest = arrays["length"][own].min()
        np.testing.assert_allclose(module.data.psth[index, :shortest], counts[own, :shortest].mean(0)[:, order], rtol=1e-6)
        assert np.isnan(module.data.psth[index, shortest:]).all()


def test_baselines_stand_beside_the_model_for_trials_of_varied_length(trials):
    table = baseline_table(trials(condition="direction", behavior=["hand_vel"], heldout_every=3, forward_bins=2)[0].data)
    assert set(table) == {"smoothing", "condition_psth"}
    for scores in table.values():
        assert {"co_bps", "fp_bps", "vel_r2", "psth_r2"} == scores.keys()
        assert np.isfinite(list(scores.values())).all()
    assert set(baseline_table(trials(heldout_every=3)[0].data)) == {"smoothing"}


def test_behaviour_is_scored_where_it_is_known(trials):
    module, _ = trials(behavior=["hand_vel"], behavior_channels={"hand_vel": [1]}, heldout_every=4)
    data = module.data
    rates = [np.ones((len(split), 12, 9)) + np.nan_to_num(split.behavior) ** 2 for split in (data.train, data.eval)]
    scores = score(data, *rates)
    assert scores["vel_r2"] == vel_r2(rates[0], data.train.behavior, rates[1], data.eval.behavior)
    assert data.behavior_names == ("hand_vel 1",)


def test_over_all_folds_each_trial_is_tested_once_and_validates_once(trials):
    tested, validated = [], []
    for fold in range(7):
        held = {phase: trials(phase=phase, folds=7, fold=fold)[0].data for phase in ("val", "test")}
        parts = held["val"].train.trial_id, held["val"].eval.trial_id, held["test"].eval.trial_id
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(40))
        np.testing.assert_array_equal(held["test"].train.trial_id, parts[0])
        validated.append(parts[1])
        tested.append(parts[2])
    for once in (tested, validated):
        np.testing.assert_array_equal(np.sort(np.concatenate(once)), np.arange(40))
        assert {len(part) for part in once} == {5, 6}
    other = trials(phase="test", folds=7, fold=0, split_seed=1)[0].data.eval.trial_id
    assert set(other.tolist()) != set(tested[0].tolist())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"folds": 2}, r"data\.folds is 2; give 3 or above"),
        ({"folds": 5, "fold": 5}, r"data\.fold is 5, but data\.folds 5; folds are numbered from 0"),
        ({"fold": 1}, r"data\.fold is 1, but data\.folds null"),
        ({"folds": 41}, r"There are 40 trials for data\.folds=41; give fewer folds"),
    ],
)
def test_folds_that_there_are_not_are_refused(trials, settings, told):
    with pytest.raises(NeuralSDEError, match=told):
        trials(**settings)[0].read()


def test_folds_do_not_ask_for_shares(trials):
    tested = [trials(phase="test", folds=5, **more)[0].data.eval.trial_id for more in ({}, {"shares": [0.8, 0.2, 0.0]})]
    np.testing.assert_array_equal(*tested)
    with pytest.raises(NeuralSDEError, match=r"data\.shares=.* leave it nothing"):  # without folds they count
        trials(phase="test", shares=[0.8, 0.2, 0.0])[0].read()
    with pytest.raises(NeuralSDEError, match=r"data\.phase is `train`"):  # a phase must be one with folds, too
        trials(phase="train", folds=5)[0].read()
