"""A user's own table, from the command line to scores and a prediction in the table's own units."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

import neuralsde
from neuralsde.datamodules.batches import stack_targets
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.evaluation.distribution import distribution_scores, trivial_sums
from neuralsde.metrics import coverage, crps
from neuralsde.workflow import train
from tests.helpers.table_files import csv_text, random_rows
from tests.helpers.tiny import tiny_config

TASKS = {
    "interpolation": ["model/likelihood=heteroscedastic", "data.reader.hidden=0.4"],
    "forecast": ["model/likelihood=gaussian", "data.reader.ahead_rows=2"],
    "classification": ["model/likelihood=categorical", "data.reader.label_column=kind"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A tiny run of each task."""
    folder, made = tmp_path_factory.mktemp("series"), {}
    (folder / "own.csv").write_text(csv_text([[*row[:2], *(f"{1000 + float(v):.3f}" if v else "" for v in row[2:4]), *row[4:]]
                                              for row in random_rows(40)]))  # fmt: skip
    for task, words in TASKS.items():
        others = [] if task == "classification" else ["data.reader.channels=[x,y]"]
        common = [f"data.reader.path={folder / 'own.csv'}", f"data.reader.task={task}", "data.reader.static=[weight]"]
        small = ["model.encoder.hidden_size=8", "model.dynamics.latent_size=4", "data.batch_size=16", "training.baselines=true"]
        train(tiny_config(folder / task, "model=neural_lsde", "data=csv", *words, *common, *others, *small))
        made[task] = neuralsde.load(folder / task), json.loads((folder / task / "scores.json").read_text())
    return made


@pytest.mark.parametrize("task", ["interpolation", "forecast"])
def test_scores_are_those_of_the_prediction_in_the_tables_units(runs, task):
    run, scores = runs[task]
    trials = run.data.eval
    predicted = run.predict(n_samples=64, seed=1)
    truth = trials.in_units(stack_targets(trials, run.data.spec))
    known = ~np.isnan(truth)
    assert np.nanmean(truth) == pytest.approx(1000, abs=2)
    assert np.abs(predicted.rates[known] - 1000).max() < 10
    again = distribution_scores(run.module, trials, 64, seed=1)
    assert again["mse"] == pytest.approx(np.mean((predicted.rates[known] - truth[known]) ** 2), rel=0.05)
    assert {"scaled_mse", "scaled_crps", "nll", "coverage_90"} <= scores.keys()
    trivial = scores["baselines"]["training_mean"]
    assert trivial["forward_scaled_rmse" if task == "forecast" else "scaled_rmse"] == pytest.approx(
        trivial["scaled_mse"] ** 0.5
    )
    said = run.data.trivial["training_mean"]
    errors, stds = (part[known] for part in (truth - said.mean, np.broadcast_to(said.std, truth.shape)))
    assert trivial["nll"] == pytest.approx(-norm.logpdf(errors, scale=stds).mean(), rel=1e-4)
    scaled = trivial_sums(trials, run.data.spec, said).pooled()
    assert scaled["crps"] == pytest.approx(crps(norm.ppf(np.linspace(0.0005, 0.9995, 1000))[:, None] * stds, errors), rel=0.01)


@pytest.mark.parametrize("task", ["interpolation", "forecast"])
def test_channels_are_scored_in_their_own_units(runs, task):
    run, scores = runs[task]
    channels, trials = scores["channels"], run.data.eval
    truth = trials.in_units(stack_targets(trials, run.data.spec))
    known = np.isfinite(truth).sum((0, 1))
    assert list(channels) == ["x", "y"]
    sd = np.nanstd(run.datamodule.source.values.astype(np.float64), axis=(0, 1))
    for row in ("this model", "training_mean"):
        pooled = scores if row == "this model" else scores["baselines"][row]
        units = {"scaled_mse": sd**2, "scaled_crps": sd, "nll": np.ones(2), "coverage_90": np.ones(2)}
        for key, unit in units.items():
            own = [channels[name][row][key.removeprefix("scaled_")] for name in channels] / unit
            assert np.average(own, weights=known) == pytest.approx(pooled[key], rel=1e-5)
    errors = truth - run.data.trivial["training_mean"].mean
    rmse = np.sqrt(np.nanmean(errors.astype(np.float64) ** 2, axis=(0, 1)))
    np.testing.assert_allclose([channels[name]["training_mean"]["rmse"] for name in channels], rmse)
    assert abs(rmse[0] / rmse[1] - 1) > 0.01


def test_batches_that_end_with_their_longest_series_train_where_all_rows_are_decoded(runs, tmp_path):
    path = runs["interpolation"][0].config.data.reader.path
    words = [
        f"data.reader.path={path}",
        "data.reader.task=interpolation",
        *TASKS["interpolation"],
        "data.reader.channels=[x,y]",
    ]
    small = ["data.batch_size=4", "model.encoder.hidden_size=8", "trainer.max_epochs=1", "training.baselines=false"]
    train(tiny_config(tmp_path / "run", "model=neural_lsde", "data=csv", "model/decoder=pooled", *words, *small))


def test_other_times_are_not_forecast(runs):
    with pytest.raises(ConfigError, match=r"forecasts no others: take run\.predict"):
        runs["forecast"][0].forecast(ahead=2)


def test_distribution_scores_are_those_of_draws(runs):
    run, _ = runs["interpolation"]
    trials = run.data.eval
    truth = trials.in_units(stack_targets(trials, run.data.spec))
    probabilities = np.linspace(0.0025, 0.9975, 200)
    drawn = run.predict(n_samples=1000, quantiles=tuple(probabilities), interval=0.9, seed=2)
    found = distribution_scores(run.module, trials, 200, seed=3)
    draws = np.stack([drawn.quantiles[p] for p in probabilities])
    assert found["crps"] == pytest.approx(crps(draws, truth), rel=0.05)
    assert found["coverage_90"] == pytest.approx(coverage(drawn.lower, drawn.upper, truth), abs=0.05)
    assert found["nll"] > 0.5 * np.log(2 * np.pi * np.e * found["mse"]) - 3


def test_a_table_that_has_changed_is_not_scored_as_the_one_learned_from(runs):
    run = runs["forecast"][0]
    table = Path(run.config.data.reader.path)
    before = table.read_text()
    try:
        table.write_text(before.replace("1000.", "1001.", 1))
        with pytest.raises(CheckpointError, match=r"own.csv is not what .*best.ckpt was trained on"):
            neuralsde.load(run.path, data={"phase": "test"}).split("eval")
        assert len(neuralsde.load(run.path, data={"path": str(table)}).data.eval)
    finally:
        table.write_text(before)
    assert len(neuralsde.load(run.path, data={"phase": "test"}).data.eval)


def test_classes_are_scored_beside_how_often_they_occur(runs):
    run, scores = runs["classification"]
    assert 0 <= scores["accuracy"] <= 1
    assert scores["baselines"]["training_frequency"]["log_loss"] == pytest.approx(np.log(2), abs=0.1)
    assert run.predict().rates.shape[2] == 2
