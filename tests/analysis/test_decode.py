"""Decoders against scikit-learn's, against behaviour that they can and cannot read, and against leaks."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from neuralsde.analysis.decode import Activity, decode
from neuralsde.analysis.lags import lagged
from neuralsde.analysis.ridge import PENALTIES, fit_ridge, trial_folds
from neuralsde.analysis.targets import target_of
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import ConfigError, DataError

BINS, UNITS, WIDTH_S = 20, 6, 0.02
SPEC = DataSpec(observed_dim=UNITS, target_dim=UNITS, observed_bins=BINS, forward_bins=0, bin_width_s=WIDTH_S)


def trials(rng, n, lag=2):
    """Smooth activity, and a velocity that follows a mixture of it `lag` bins later."""
    activity = rng.normal(size=(n, BINS, UNITS)).cumsum(1)
    velocity = lagged(activity, [lag])[..., :2] + 0.1 * rng.normal(size=(n, BINS, 2))
    velocity[0, :3] = np.nan
    condition = np.arange(n) % 3
    activity[..., 2] += 10 * condition[:, None]
    return Trials(activity.astype(np.float32), behavior=velocity.astype(np.float32), condition=condition)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return TrialData(
        "made", SPEC, trials(rng, 40), trials(rng, 20), behavior_kind="continuous", behavior_names=("x", "y"),
        condition_names=("left", "up", "right"),
    )  # fmt: skip


def activity_of(data):
    return Activity(data.train.heldin, data.eval.heldin)


def decoded(data, name="behavior", kind=None, **settings):
    return decode(activity_of(data), target_of(data, name, kind), data.spec, "rates", **settings)


def test_the_right_lag_reads_the_velocity_and_another_does_not(data):
    right, wrong = decoded(data, lags_ms=(40,)), decoded(data, lags_ms=(-80,))
    assert right.scores["r2_uniform"] > 0.98
    assert wrong.scores["r2_uniform"] < 0.9
    assert right.weights.shape == (1, UNITS, 2)
    np.testing.assert_allclose(right.weights[0, :2], np.eye(2), atol=0.02)
    both = decoded(data, lags_ms=(0, 40))
    assert both.weights.shape == (2, UNITS, 2)
    assert abs(both.weights[0]).max() < 0.05 < abs(both.weights[1]).max()


def test_lagged_activity_is_that_of_earlier_bins_and_stays_at_the_ends():
    activity = np.arange(5.0)[None, :, None]
    np.testing.assert_array_equal(lagged(activity, [0, 2, -1])[0].T, [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2], [1, 2, 3, 4, 4]])


def test_penalty_and_weights_are_those_of_scikit_learn(data):
    x, y = data.train.heldin.astype(float), data.train.behavior.astype(float)
    found = fit_ridge(x, y, 5, 3)
    known = ~np.isnan(y).any(-1)
    fold = np.broadcast_to(trial_folds(known.any(1), 5, 3)[:, None], known.shape)[known]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()),
        {"ridge__alpha": PENALTIES * known.sum()},
        cv=PredefinedSplit(fold),
        scoring="r2",
    ).fit(x[known], y[known])
    assert found.alpha == pytest.approx(search.best_params_["ridge__alpha"])
    # Scikit-learn standardises within each fold, which moves the score by little.
    assert found.validation_r2 == pytest.approx(search.best_score_, abs=1e-3)
    np.testing.assert_allclose(found(x[:2]).reshape(-1, 2), search.predict(x[:2].reshape(-1, UNITS)), rtol=1e-6)


def test_scores_are_of_the_known_bins_and_named_by_their_mean(data):
    found = decoded(data)
    known = ~np.isnan(data.eval.behavior).any(-1)
    for mean in ("uniform_average", "variance_weighted"):
        expected = r2_score(data.eval.behavior[known], found.predicted[known], multioutput=mean)
        assert found.scores["r2_" + mean.removesuffix("_average")] == pytest.approx(expected)
    assert found.scores["r2/x"] == pytest.approx(r2_score(data.eval.behavior[known][:, 0], found.predicted[known][:, 0]))


@pytest.mark.parametrize("name", ["behavior", "condition"])
def test_evaluation_trials_never_reach_the_decoder(data, name):
    """Noise in their place leaves all that was fitted as it was: a leak would change it."""
    rng = np.random.default_rng(1)
    noise = replace(data.eval, heldin=rng.normal(size=data.eval.heldin.shape).astype(np.float32))
    true, false = decoded(data, name), decoded(replace(data, eval=noise), name)
    assert true.chosen == false.chosen
    np.testing.assert_array_equal(true.weights, false.weights)
    assert true.scores != false.scores


def test_a_gru_reads_what_lies_in_the_past_and_is_a_function_of_its_seed(data, monkeypatch):
    monkeypatch.setattr("neuralsde.analysis.gru.MOST_EPOCHS", 40)
    first, again, other = (decoded(data, "x", decoder="gru", seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.predicted, again.predicted)
    assert not np.array_equal(first.predicted, other.predicted)
    assert first.scores["r2_uniform"] > decoded(data, "x").scores["r2_uniform"]
    assert first.weights is None


def test_directions_are_circular(data):
    def turned(split):
        angle = np.deg2rad(170) + split.behavior[..., :1] * 0.05  # around the seam at 180°
        return replace(split, behavior=np.angle(np.exp(1j * angle)).astype(np.float32))

    around = replace(data, train=turned(data.train), eval=turned(data.eval), behavior_names=("heading",))
    found = decoded(around, kind="angle", lags_ms=(40,))
    assert found.scores["angle_error_deg"] < 3 < found.scores["chance_deg"]
    assert abs(found.predicted).max() <= np.pi
    assert found.scores["angle_error_deg"] < 0.5 * found.scores["chance_deg"]


def test_the_direction_of_a_resting_hand_is_not_decoded(data):
    target = target_of(data, "behavior", "angle")
    speed = np.linalg.norm(data.eval.behavior, axis=-1)
    assert np.isnan(target.eval[speed < 0.05]).all()
    fast = speed > np.nanquantile(speed, 0.6)
    expected = np.arctan2(data.eval.behavior[..., 1], data.eval.behavior[..., 0])[fast]
    np.testing.assert_allclose(target.eval[fast][:, 0], expected, atol=1e-5)


def test_conditions_are_classified(data):
    found = decoded(data, "condition")
    assert found.scores["accuracy"] > 0.7
    assert found.scores["chance"] == pytest.approx(7 / 20)
    assert found.decoder == "logistic"
    assert found.weights.shape == (3, UNITS, 3)


def test_a_value_of_the_whole_trial(data):
    def with_column(split):
        return replace(split, behavior=split.heldin[..., :1].mean(1))

    column = replace(
        data, train=with_column(data.train), eval=with_column(data.eval), behavior_kind="timing", behavior_names=("rt",)
    )
    found = decoded(column, "rt")
    assert found.target.kind == "trial"
    assert found.predicted.shape == (20, 1, 1)
    assert found.scores["r2_uniform"] > 0.95
    with pytest.raises(ConfigError, match="rt is one value per trial"):
        decoded(column, "rt", lags_ms=(0, 20))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lags_ms": (30,)}, "lag of 30 ms, which is no multiple of the bin width of 20 ms"),
        ({"lags_ms": (400,)}, "lag of 400 ms, but a trial has 20 bins"),
        ({"lags_ms": ()}, "give at least one lag"),
        ({"lags_ms": (float("nan"),)}, r"lags_ms=\[nan\]; give finite numbers"),
        ({"decoder": "svm"}, "decoder='svm'; give ridge or gru"),
        ({"folds": 1}, "folds=1"),
        ({"kind": "velocity"}, "kind='velocity'; give values"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_impossible_settings_get_a_sentence(data, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        decoded(data, **settings)


def test_data_without_the_target_say_how_to_get_it(data):
    silent = replace(data, train=replace(data.train, behavior=None, condition=None))
    with pytest.raises(DataError, match=r"no behaviour for its training trials .* run\.decode\('hand_vel'\)"):
        target_of(silent, "behavior", None)
    with pytest.raises(DataError, match=r"no conditions to decode; .* data\.condition_columns"):
        target_of(silent, "condition", None)
    few = replace(data, train=data.train[:8])
    with pytest.raises(DataError, match="needs 10 training trials with a known target, but there are 8"):
        decoded(few)


def test_a_run_decodes_what_its_data_hold_and_what_its_file_holds_besides(reaching):
    velocity = reaching.decode("hand_vel", n_samples=2)
    assert velocity.compared.source == "smoothed"
    assert velocity.compared.chosen["kernel_sd_ms"] in (15.0, 25.0, 40.0, 60.0, 90.0)
    assert velocity.predicted.shape == reaching.data.eval.behavior.shape
    assert velocity.target.channels == ("x", "y")
    position = reaching.decode("hand_pos", n_samples=2, compare=False)
    assert position.target.channels == ("x", "y")
    assert not np.allclose(position.target.eval, velocity.target.eval)
    assert reaching.decode("rt", kind="trial", source="latents", n_samples=2, folds=2).predicted.shape == (10, 1, 1)
    with pytest.raises(DataError, match=r"there is no behaviour series `hand_speed`.* hand_pos, hand_vel"):
        reaching.decode("hand_speed")
    with pytest.raises(ConfigError, match="source='spikes'"):
        reaching.decode("hand_vel", source="spikes")
