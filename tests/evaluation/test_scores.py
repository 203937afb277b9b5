"""The score table: which metrics apply, and to which part of the rates."""

from dataclasses import replace

import numpy as np
import pytest

from neuralsde.errors import NeuralSDEError
from neuralsde.evaluation.scores import score
from neuralsde.metrics import bits_per_spike, psth_r2, vel_r2


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
