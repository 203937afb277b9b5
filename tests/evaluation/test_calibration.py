"""Split conformal prediction: coverage, the factor of each value, and scores of a distribution that was made wider."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import neuralsde
from neuralsde.errors import CheckpointError
from neuralsde.evaluation.calibration import LEAST_VALUES, Calibration, conformal_quantile, conformity, left_out
from neuralsde.evaluation.distribution import distribution_sums
from neuralsde.evaluation.predict import predict
from neuralsde.evaluation.prediction import Prediction
from neuralsde.training.checkpoint import add_to_record
from neuralsde.workflow import scores_of_intervals, train
from tests.helpers.tiny import tiny_config


def said(mean, low, high, quantiles=()):
    return Prediction(mean, np.zeros((*mean.shape[:2], 1)), mean - low, mean + high, dict(quantiles))


def test_new_values_are_inside_as_often_as_asked_for():
    """20 values, 4000 calibrations of a model half as unsure as it should be: 19 of 21 new values are inside; the sd of a
    calibration's coverage is that of a Beta(19, 2). Without the correction they are 18 of 21 (control)."""
    rng, n, runs, p = np.random.default_rng(0), 20, 4000, 0.9
    half = 0.5 * norm.ppf(0.95)
    scores = np.abs(rng.normal(size=(runs, n))) / half
    factors = np.array([conformal_quantile(row, p) for row in scores])
    inside = 2 * norm.cdf(factors * half) - 1
    sd = np.sqrt(19 * 2 / (21**2 * 22) / runs)
    assert abs(inside.mean() - 19 / 21) < 4 * sd
    plain = 2 * norm.cdf(np.sort(scores)[:, 17] * half) - 1
    assert abs(plain.mean() - 19 / 21) > 4 * sd
    assert p <= 19 / 21 <= p + 1 / (n + 1)


def test_the_factor_of_a_value_is_where_the_interval_just_holds_it():
    rng = np.random.default_rng(1)
    mean, low, high = rng.normal(size=(4, 3, 2)), rng.uniform(0.1, 2, (4, 3, 2)), rng.uniform(0.1, 2, (4, 3, 2))
    truth = np.where(rng.random(mean.shape) < 0.2, np.nan, rng.normal(size=mean.shape) * 3)
    scores = conformity(said(mean, low, high), truth)
    assert (np.isnan(scores) == np.isnan(truth)).all()
    for share, expected in ((1 + 1e-9, True), (1 - 1e-9, False)):
        lower, upper = mean - share * scores * low, mean + share * scores * high
        held = (lower <= truth) & (truth <= upper)
        assert (held == expected)[~np.isnan(truth)].all()
    assert conformity(said(mean, -low, high + low), mean)[0, 0, 0] == np.inf
    one_sided = conformity(said(mean, 0 * low, high), np.stack([mean[0] + high[0] / 2, mean[1], mean[2] - 1, mean[3]]))
    np.testing.assert_allclose(one_sided[[0, 1]], [np.full((3, 2), 0.5), np.zeros((3, 2))])
    assert (one_sided[2] == np.inf).all()


def test_a_factor_moves_ends_and_quantiles_and_no_mean():
    rng = np.random.default_rng(2)
    mean = rng.normal(size=(3, 2, 2))
    before = said(mean, np.ones_like(mean), 2 * np.ones_like(mean), {0.5: mean + 0.1})
    after = Calibration(np.array([2.0, 0.5]), 0.9, 3, 12).widened(before)
    np.testing.assert_array_equal(after.rates, mean)
    np.testing.assert_allclose(after.lower, mean - [2, 0.5])
    np.testing.assert_allclose(after.upper, mean + np.array([4, 1]))
    np.testing.assert_allclose(after.quantiles[0.5], mean + np.array([0.2, 0.05]))
    truth = rng.normal(size=mean.shape)
    np.testing.assert_allclose(conformity(after, truth), conformity(before, truth) / [2, 0.5])


def test_channels_share_a_factor_where_values_are_few_and_each_series_is_left_out_in_turn():
    rng = np.random.default_rng(3)
    scores = rng.exponential(size=(9, 5, 2)) * [1, 4]
    pooled = Calibration.fit(scores)
    assert pooled.factor.tolist() == [np.sort(scores.ravel())[int(np.ceil(91 * 0.9)) - 1]] * 2
    assert (pooled.series, pooled.values) == (9, 90)
    for number, factor in enumerate(left_out(scores)):
        np.testing.assert_array_equal(factor[0], Calibration.fit(np.delete(scores, number, 0)).factor)
    again = scores.reshape(3, 3, 5, 2)  # three series three times over
    for number, factor in enumerate(left_out(scores, rounds=3)):
        others = np.delete(again, number, 1).reshape(6, 5, 2)
        np.testing.assert_array_equal(factor[0], Calibration.fit(others).factor)
    assert Calibration.fit(scores, rounds=3).series == 3
    parts = left_out(rng.exponential(size=(101, 2, 1)))
    assert parts.shape == (101, 1, 1)
    assert len(np.unique(parts)) > 2
    many = rng.exponential(size=(LEAST_VALUES, 1, 2)) * [1, 4]
    first, second = Calibration.fit(many).factor
    assert second > 2 * first
    assert conformal_quantile(np.array([np.nan, 0.5, np.inf]), 0.9) == 0.5
    assert conformal_quantile(np.full(3, np.nan), 0.9) == 1.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("calibration"), np.random.default_rng(4)
    lines = ["series,time,a,b"]
    lines += [f"p{k},{t},{rng.normal():.3f},{100 + 9 * rng.normal():.3f}" for k in range(30) for t in range(6)]
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    own = [f"data.reader.path={folder / 'table.csv'}", "data.reader.task=forecast", "data.reader.ahead_rows=2", "data=csv"]
    small = ["model.encoder.hidden_size=8", "model.dynamics.latent_size=4", "trainer.max_epochs=1", "training.plots=false"]
    train(tiny_config(folder / "run", "model=neural_lsde", "model/likelihood=heteroscedastic", *own, *small))
    return neuralsde.load(folder / "run")


def test_scores_of_a_wider_distribution_are_those_of_nearer_values(run):
    """The density of m + s (y - m) is the density at m + (y - m) / s over s."""
    trials, s = replace(run.data.eval, offset=None, scale=None), np.array([1.7, 0.6])
    settings = {"n_samples": 8, "seed": 5, "sample_batch": 8}
    bare = replace(trials, targets=np.where(trials.rows[..., None], trials.targets, np.nan))
    mean = predict(run.module, bare, **settings).rates
    wide = distribution_sums(run.module, bare, 8, 5, factor=s)
    near = distribution_sums(run.module, replace(bare, targets=(mean + (bare.targets - mean) / s).astype(np.float32)), 8, 5)
    mse, crps, nll, coverage = wide.total
    np.testing.assert_allclose(nll, near.total[2] + wide.known * np.log(s), rtol=1e-4)
    np.testing.assert_allclose(crps, s * near.total[1], rtol=1e-4)
    np.testing.assert_allclose(mse, s**2 * near.total[0], rtol=1e-4)
    np.testing.assert_allclose(coverage, near.total[3], atol=1)


def test_a_run_of_a_table_is_calibrated_on_its_validation_series(run):
    bare = replace(run, calibration=None)
    scores = scores_of_intervals(run, run.datamodule)
    assert run.calibration.factor.tolist() == Calibration.fit(scores).factor.tolist()
    settings = {"n_samples": 50, "interval": 0.8}
    wide, own = (one.predict("eval", **settings) for one in (run, bare))
    rows = own.axes.rows
    np.testing.assert_array_equal(wide.rates[rows], own.rates[rows])
    ratio = (wide.upper - wide.lower)[rows] / (own.upper - own.lower)[rows]
    np.testing.assert_allclose(ratio, np.broadcast_to(run.calibration.factor, ratio.shape), rtol=1e-3)


def test_a_damaged_calibration_is_refused(run, tmp_path):
    for part in ({"factor": 1.0}, run.calibration.plain() | {"factor": -run.calibration.plain()["factor"]}):
        path = tmp_path / "copy.ckpt"
        path.write_bytes(run.path.read_bytes())
        add_to_record(path, "calibration", part)
        with pytest.raises(CheckpointError, match="The calibration in the checkpoint is damaged"):
            neuralsde.load(path)


def test_every_checkpoint_of_a_run_is_calibrated(run):
    last = neuralsde.load(run.path.with_name("last.ckpt"))
    assert last.path != run.path
    assert last.calibration.factor.tolist() == Calibration.fit(scores_of_intervals(last, run.datamodule)).factor.tolist()


def test_intervals_beside_a_median_are_widened_around_the_mean(run):
    settings = {"n_samples": 50, "interval": 0.8, "quantiles": (0.3,)}
    mean, median = (run.predict("eval", average=average, **settings) for average in ("rate", "median"))
    rows = mean.axes.rows
    for name in ("lower", "upper"):
        np.testing.assert_array_equal(getattr(mean, name)[rows], getattr(median, name)[rows])
    np.testing.assert_array_equal(mean.quantiles[0.3][rows], median.quantiles[0.3][rows])
    bare = replace(run, calibration=None).predict("eval", average="median", **settings)
    np.testing.assert_array_equal(median.rates[rows], bare.rates[rows])
    assert (median.rates[rows] != mean.rates[rows]).any()
