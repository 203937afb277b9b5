"""The score table: which metrics apply, and to which part of the rates."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from neuralsde.datamodules.batches import stack_targets
from neuralsde.errors import NeuralSDEError
from neuralsde.evaluation.scores import score
from neuralsde.metrics import bits_per_spike, decoded_angle_error, pooled_r2, psth_r2, vel_r2


def test_each_metric_gets_its_part_of_the_rates(recording):
    rng = np.random.default_rng(0)
    train, scored = (t.rates * np.exp(0.2 * rng.normal(size=t.rates.shape)) for t in (recording.train, recording.eval))
    velocity = [t.rates[:, :20] @ rng.normal(size=(12, 2)) for t in (recording.train, recording.eval)]
    psth = np.stack([recording.train.rates[recording.train.condition == c].mean(0)[:20] for c in range(6)])
    data = replace(
        recording,
        train=replace(recording.train, behavior=velocity[0]),
        eval=replace(recording.eval, behavior=velocity[1]),
        behavior_kind="continuous",
        psth=psth,
    )
    scores = score(data, train, scored)
    forward = np.concatenate([data.eval.heldin_forward, data.eval.heldout_forward], axis=-1)
    assert scores["co_bps"] == bits_per_spike(scored[:, :20, 8:], data.eval.heldout)
    assert scores["fp_bps"] == bits_per_spike(scored[:, 20:], forward)
    assert scores["vel_r2"] == vel_r2(train[:, :20], velocity[0], scored[:, :20], velocity[1])
    assert scores["psth_r2"] == psth_r2(psth, scored[:, :20], data.eval.condition)
    assert 0.9 < scores["rate_r2"] < 1
    assert "vel_r2" not in score(data, None, scored)


def test_a_direction_is_scored_by_its_angle_beside_other_behaviour(recording):
    rng = np.random.default_rng(0)
    splits = recording.train, recording.eval
    angle = [rng.uniform(0, 6, (len(t), 20)) for t in splits]
    behavior = [np.stack([a**2, np.cos(a), np.sin(a)], axis=-1) for a in angle]
    rates = [
        t.rates + np.exp(np.cos(np.pad(a, ((0, 0), (0, 5)))[..., None] - np.arange(12)))
        for t, a in zip(splits, angle, strict=True)
    ]
    data = replace(
        recording,
        train=replace(splits[0], behavior=behavior[0]),
        eval=replace(splits[1], behavior=behavior[1]),
        behavior_kind="continuous",
        angle_channels=((1, 2),),
    )
    scores = score(data, *rates)
    part = [(r[:, :20], b) for r, b in zip(rates, behavior, strict=True)]
    (fitted, train), (scored, true) = part
    assert scores["vel_r2"] == vel_r2(fitted, train[..., :1], scored, true[..., :1])
    assert scores["angle_r2"] == vel_r2(fitted, train[..., 1:], scored, true[..., 1:])
    assert scores["angle_error_deg"] == decoded_angle_error(fitted, train[..., 1:], scored, true[..., 1:])
    assert scores["angle_error_deg"] < 30


def test_true_rates_beat_the_null_on_every_split(recording):
    extra = {name: trials.rates for name, trials in recording.extra.items()}
    scores = score(recording, recording.train.rates, recording.eval.rates, extra)
    assert set(scores) == {
        f"{split}{key}" for split in ("", "heldout_conditions/") for key in ("co_bps", "fp_bps", "rate_r2", "rate_r2_uniform")
    }
    assert scores["rate_r2"] == scores["heldout_conditions/rate_r2"] == 1
    assert min(scores.values()) > 0.3


def test_withheld_data_leave_their_scores_out(recording):
    withheld = replace(recording.eval, heldout=None, heldin_forward=None, heldout_forward=None, rates=None)
    assert score(replace(recording, eval=withheld), None, recording.eval.rates) == {}


def test_produced_time_is_scored_by_its_correlation_with_speed(recording):
    n = len(recording.eval)
    behavior = np.column_stack([np.zeros((n, 4)), np.linspace(500, 900, n)])
    data = replace(recording, behavior_kind="timing", eval=replace(recording.eval, behavior=behavior))
    ramp = np.ones_like(recording.eval.rates) * np.arange(25)[:, None] / np.linspace(1, 2, n)[:, None, None]
    assert score(data, None, ramp)["tp_corr"] < -0.98


@pytest.mark.parametrize("bins", [20, 26])
def test_rates_of_another_shape_are_refused(recording, bins):
    with pytest.raises(NeuralSDEError, match=rf"\(24, {bins}, 12\), but \(24, 25, 12\)"):
        score(recording, None, np.ones((24, bins, 12)))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_real_values_are_scored_against_the_true_signal(real_data, rng):
    data, spec = real_data, real_data.spec
    guess = data.eval.rates + 0.3 * rng.normal(size=data.eval.rates.shape)
    scores = score(data, None, guess)
    assert set(scores) == {"signal_r2", "forward_r2", "missing_rmse"}
    bins = spec.observed_bins
    assert scores["signal_r2"] == pooled_r2(guess[:, :bins], data.eval.rates[:, :bins])
    assert scores["forward_r2"] == pooled_r2(guess[:, bins:], data.eval.rates[:, bins:])
    errors = [
        (guess[i, t, c] - data.eval.rates[i, t, c]) ** 2
        for i, t, c in product(range(len(guess)), range(bins), range(spec.observed_dim))
        if np.isnan(data.eval.heldin[i, t, c])
    ]
    assert len(errors) == 10 * 10 * 2  # half of 20 bins, two channels seen and one held out
    assert scores["missing_rmse"] == pytest.approx(np.sqrt(np.mean(errors)))
    assert score(data, None, data.eval.rates) == {"signal_r2": 1, "forward_r2": 1, "missing_rmse": 0}


def test_negative_expected_values_are_fine_for_real_data_alone(real_data, recording):
    assert real_data.eval.rates.min() < 0
    score(real_data, None, real_data.eval.rates)
    with pytest.raises(NeuralSDEError, match="negative"):
        score(recording, None, recording.eval.rates - 10)
    with pytest.raises(NeuralSDEError, match="NaN or infinite"):
        score(real_data, None, real_data.eval.rates * np.nan)


def test_without_the_truth_real_values_are_scored_against_what_was_recorded(real_data, rng):
    unknown = replace(real_data, eval=replace(real_data.eval, rates=None, states=None))
    guess = real_data.eval.rates + 0.3 * rng.normal(size=real_data.eval.rates.shape)
    scores = score(unknown, None, guess)
    assert set(scores) == {"rmse", "forward_rmse"}
    targets = stack_targets(real_data.eval, real_data.spec)
    for name, part in (("rmse", slice(None, 20)), ("forward_rmse", slice(20, None))):
        assert scores[name] == pytest.approx(np.sqrt(np.nanmean((guess - targets)[:, part] ** 2)))
    withheld = replace(unknown.eval, heldin_forward=None, heldout_forward=None)
    assert set(score(replace(unknown, eval=withheld), None, guess)) == {"rmse"}


@pytest.mark.parametrize("kind", ["binary", "category"])
def test_labels_are_scored_by_their_log_loss(label_data, kind):
    data = label_data[kind]
    truth, targets = data.eval.rates.astype(np.float64), stack_targets(data.eval, data.spec)
    scores = score(data, None, truth)
    names = ("log_loss", "accuracy", "auroc", "calibration_error")
    assert set(scores) == {prefix + name for prefix in ("", "forward_") for name in names}
    chances = truth.reshape(*targets.shape, -1) if kind == "category" else np.stack([1 - truth, truth], -1)
    for prefix, bins in (("", range(20)), ("forward_", range(20, 25))):
        logs, hits = [], []
        for i, t, c in product(range(len(truth)), bins, range(targets.shape[2])):
            if not np.isnan(targets[i, t, c]):
                logs.append(-np.log(max(chances[i, t, c, int(targets[i, t, c])], 1e-7)))
                hits.append(chances[i, t, c].argmax() == targets[i, t, c])
        assert scores[f"{prefix}log_loss"] == pytest.approx(np.mean(logs))
        assert scores[f"{prefix}accuracy"] == pytest.approx(np.mean(hits))
    uniform = np.full_like(truth, 1 / chances.shape[-1])
    assert score(data, None, uniform)["log_loss"] == pytest.approx(np.log(chances.shape[-1]))
    with pytest.raises(NeuralSDEError, match="not logits"):
        score(data, None, truth * 10)


def test_states_are_read_from_latents_of_every_kind(real_data, label_data):
    for data in (real_data, *label_data.values()):
        latents = [trials.states @ np.array([[2.0, 1.0], [0.0, 1.0]]) - 3 for trials in (data.train, data.eval)]
        # Forward bins neither fit nor count.
        for z in latents:
            z[:, data.spec.observed_bins :] = 1e3
        scores = score(data, None, data.eval.rates, None, *latents)
        assert scores["state_r2"] == pytest.approx(1)
        assert "state_r2" not in score(data, None, data.eval.rates, None, None, latents[1])
        unknown = replace(data, eval=replace(data.eval, states=None))
        assert "state_r2" not in score(unknown, None, data.eval.rates, None, *latents)


def test_latents_of_other_trials_are_refused(real_data):
    wrong = real_data.train.states[:5]
    with pytest.raises(NeuralSDEError, match=r"latents have shape \(5, 20, 2\), but \(40, 20, 2\)"):
        score(real_data, None, real_data.eval.rates, None, wrong, real_data.eval.states)


def test_probabilities_of_too_few_classes_are_refused(label_data):
    data = label_data["category"]
    with pytest.raises(NeuralSDEError, match=r"\(10, 25, 2\), but \(10, 25, 6\)"):
        score(data, None, data.eval.rates[..., :2])
