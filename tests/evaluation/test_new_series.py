"""Series that were in no table of the training: forecasts, hidden values and classes with the table's names, times, units."""

import copy
import csv
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import neuralsde
from neuralsde import plots
from neuralsde.cli import evaluate, predict
from neuralsde.cli.main import parser
from neuralsde.datamodules.irregular.ahead import elapsed_ahead, in_rounds, usual_ahead
from neuralsde.datamodules.irregular.assemble import pad_rows, pad_times, padded
from neuralsde.errors import CheckpointError, ConfigError, DataError
from neuralsde.evaluation import figures
from neuralsde.evaluation.new_series import refuse_other_unit, seed_of
from neuralsde.evaluation.predict import predict as predict_trials
from neuralsde.evaluation.prediction import Prediction
from neuralsde.evaluation.report import write_report
from neuralsde.workflow import train
from tests.helpers.tiny import tiny_config

START, DAY = np.datetime64("2024-02-20"), np.timedelta64(1, "D")
HEADER = "patient,day,weight,temperature,kind"
SETTINGS = {
    "forecast": ["model/likelihood=heteroscedastic", "data.reader.ahead_rows=2"],
    "interpolation": ["model/likelihood=heteroscedastic", "data.reader.hidden=0.4"],
    "classification": ["model/likelihood=categorical", "data.reader.label_column=kind"],
}


def rows_of(names, days, seed):
    """Daily rows of patients, each from a day of its own on, in units of 60 000 and 37."""
    rng, rows = np.random.default_rng(seed), []
    for k, name in enumerate(names):
        level = rng.normal()
        for day in range(days):
            cells = [f"{60000 + 3000 * (level + rng.normal()):.1f}", f"{37 + 0.1 * rng.normal():.3f}" if day % 3 else ""]
            rows.append([name, f"{START + (k + day) * DAY}", *cells, ("ill", "well")[k % 2]])
    return rows


def write(path, rows, header=HEADER):
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new_series")
    write(folder / "own.csv", rows_of([f"p{k}" for k in range(30)], 8, 0))
    write(folder / "new.csv", [row[:4] for row in rows_of(["b", "a"], 6, 1)], HEADER.removesuffix(",kind"))
    return folder


@pytest.fixture(scope="module")
def runs(folder):
    made = {}
    for task, words in SETTINGS.items():
        columns = ["data.reader.series_column=patient", "data.reader.time_column=day", "data.reader.time_unit=d"]
        channels = "data.reader.channels=[weight,temperature]"
        own = [f"data.reader.path={folder / 'own.csv'}", f"data.reader.task={task}", channels, *columns]
        small = ["model.encoder.hidden_size=8", "model.dynamics.latent_size=4", "trainer.max_epochs=1", "training.plots=false"]
        train(tiny_config(folder / task, "model=neural_lsde", "data=csv", *words, *own, *small, "training.baselines=false"))
        made[task] = neuralsde.load(folder / task)
    return made


def test_only_rows_that_are_asked_for_are_decoded_and_these_as_ever(runs):
    run, bins = runs["forecast"], []
    trials, settings = run.data.eval, {"n_samples": 20, "interval": 0.8, "sample_batch": 5}
    assert trials.rows.any(0).sum() == 2
    with run.module.model.decoder.register_forward_hook(lambda part, given, made: bins.append(given[0].shape[1])):
        asked = predict_trials(run.module, trials, **settings)
        whole = predict_trials(run.module, replace(trials, rows=np.ones_like(trials.rows)), **settings)
    assert set(bins[:4]) == {2}
    assert set(bins[4:]) == {trials.rows.shape[1]}
    for name in ("rates", "lower", "upper"):
        np.testing.assert_allclose(getattr(asked, name)[trials.rows], getattr(whole, name)[trials.rows], rtol=1e-6)


def test_a_series_of_the_table_is_told_of_as_in_its_split(runs, folder):
    run = runs["forecast"]
    settings = {"n_samples": 50, "sample_batch": 10, "interval": 0.8, "quantiles": (0.5,)}
    trials, table = run.data.eval, rows_of([f"p{k}" for k in range(30)], 8, 0)
    cut = [row[:4] for name in trials.names for row in table if row[0] == name]
    windows = [row for number, row in enumerate(cut) if number % 8 < 6]
    asked = {name: value for name, value in settings.items() if name != "quantiles"}
    path = write(folder / "windows.csv", windows, "patient,day,weight,temperature")
    ours = run.predict_series(path, seed=3, **asked).to_table()
    assert list(ours) == ["series", "time", "channel", "mean", "median", "lower", "upper"]
    for number, name in enumerate(trials.names.tolist()):
        alone = predict_trials(run.module, trials[number : number + 1], seed=seed_of(3, name), **settings)
        theirs, own = run.calibrated(partial(lambda said: said, alone)).named_by(run.data).to_table(), ours["series"] == name
        assert theirs.keys() == ours.keys()
        for column, values in theirs.items():
            if column in ("mean", "median", "lower", "upper"):
                np.testing.assert_allclose(ours[column][own], values, rtol=1e-6)
            else:
                np.testing.assert_array_equal(ours[column][own], values)
    days = [day for name in trials.names for day in [row[1] for row in cut if row[0] == name][6:] * 2]
    np.testing.assert_array_equal(ours["time"].astype("datetime64[D]").astype(str), days)
    apart = run.predict_series(folder / "windows.csv", horizon=1.8, every=0.9, seed=3, **asked).to_table()
    assert (apart["mean"] != ours["mean"]).any()


@pytest.mark.parametrize("task", SETTINGS)
def test_what_is_told_of_a_series_changes_neither_with_those_beside_it_nor_with_their_order(runs, folder, task):
    rows = [row[:4] for row in rows_of(["b", "a", "c"], 6, 1)]
    by_name = {name: [row for row in rows if row[0] == name] for name in "abc"}
    told = {}
    for order in ("abc", "cab", "a", "b"):
        path = write(folder / f"{order}.csv", [row for name in order for row in by_name[name]], HEADER.removesuffix(",kind"))
        told[order] = runs[task].predict_series(path, n_samples=40, sample_batch=15).to_table()
    for order, names in (("cab", "abc"), ("a", "a"), ("b", "b")):
        for name in names:
            ours, theirs = (told[words]["series"] == name for words in (order, "abc"))
            for column, values in told["abc"].items():
                np.testing.assert_array_equal(told[order][column][ours], values[theirs])
    again = runs[task].predict_series(folder / "a.csv", n_samples=40, sample_batch=15, seed=1).to_table()
    value = "probability" if task == "classification" else "mean"
    assert (again[value] != told["a"][value]).any()


@pytest.mark.parametrize("task", SETTINGS)
def test_new_series_are_told_of_without_the_training_table(runs, folder, tmp_path, task):
    before = runs[task].predict_series(folder / "new.csv", n_samples=20).to_table()
    (folder / "own.csv").rename(folder / "away.csv")
    try:
        run = neuralsde.load(folder / task)
        alone = run.predict_series(folder / "new.csv", n_samples=20).to_table()
        assert len(run.read_series(folder / "new.csv")["value"])
        words = ["predict", str(folder / task), str(tmp_path / "told.csv"), "--data", str(folder / "new.csv")]
        told = predict.run(parser().parse_args(words))
        with pytest.raises(DataError, match="There is no file"):
            replace(run, learned={}).predict_series(folder / "new.csv")
    finally:
        (folder / "away.csv").rename(folder / "own.csv")
    assert all((alone[column] == values).all() for column, values in before.items())
    assert told["lines"] == len(before["series"])


def test_runs_of_earlier_versions_read_their_training_table(runs, folder):
    old = replace(runs["forecast"], learned={})
    ours, theirs = (run.predict_series(folder / "new.csv", n_samples=20).to_table() for run in (old, runs["forecast"]))
    assert all((ours[column] == values).all() for column, values in theirs.items())


def test_damaged_statistics_are_refused(runs, folder):
    run = runs["forecast"]
    wrong = {"observed": 2**60, "means": run.learned["means"][:1], "usual": None, "units": run.learned["means"]}
    for name, value in wrong.items():
        with pytest.raises(CheckpointError, match="What the checkpoint holds of its training series is damaged"):
            replace(run, learned={**run.learned, name: value}).predict_series(folder / "new.csv")
    with pytest.raises(CheckpointError, match="damaged"):
        replace(run, learned={"observed": 6}).predict_series(folder / "new.csv")


def test_units_go_on_without_a_jump_between_the_rows_of_training(runs, folder):
    data, rest = runs["forecast"].datamodule, runs["forecast"].datamodule.rest[-2:]
    series = data.reader.read_new(folder / "new.csv", data.channel_names, data.dated, bool(data.zone))

    def unit(elapsed, data):
        trials = data.new_trials(series, [t[-1:] + elapsed for t in series.times])
        return trials.scale[trials.rows][0]

    for elapsed, expected in (
        (1.0, rest[0]),
        (2.0, rest[1]),
        (1.5, np.sqrt(rest[0] * rest[1])),
        (0.3, rest[0]),
        (3.0, rest[1]),
    ):
        np.testing.assert_allclose(unit(elapsed, data), expected, rtol=1e-5)
    np.testing.assert_allclose(unit(1.4999, data), unit(1.5001, data), rtol=1e-3)
    by_row = copy.copy(data)
    by_row.units_ahead = "row"
    np.testing.assert_allclose(unit(1.4999, by_row), rest[0], rtol=1e-6)
    np.testing.assert_allclose(unit(1.5001, by_row), rest[1], rtol=1e-6)


def test_files_and_labelled_arrays_keep_names_times_and_what_is_told(runs, tmp_path):
    for task in ("forecast", "interpolation"):
        split = runs[task].predict(n_samples=20, interval=0.8)
        rows, trials = split.axes.rows, runs[task].data.eval
        assert np.isnan(split.rates[~rows]).all()
        assert np.isfinite(split.rates[rows]).all()
        assert rows.sum() == len(trials) * (2 if task == "forecast" else 8)
        split.save(tmp_path / "kept.h5")
        kept = Prediction.load(tmp_path / "kept.h5")
        for name, value in vars(split.axes).items():
            np.testing.assert_array_equal(vars(kept.axes)[name], value)
        assert kept.axes.channel_names == ("weight", "temperature")
        ours, theirs = kept.to_table(), split.to_table()
        assert all((ours[column] == theirs[column]).all() for column in theirs)
        split.to_nwb(tmp_path / "kept.nwb")
        with h5py.File(tmp_path / "kept.nwb") as file:
            table = file["intervals/trials"]
            assert [name.decode() for name in table["series"]] == trials.names.tolist()
            length = split.axes.times[:, -1] - split.axes.times[:, 0]
            np.testing.assert_allclose(table["stop_time"][:] - table["start_time"][:], 86400 * (length + 1))
        arrays = split.to_xarray()
        assert arrays.trial.values.tolist() == trials.names.tolist()
        assert arrays.unit.values.tolist() == ["weight", "temperature"]
        assert arrays.stamp.values.dtype.kind == "M"


def test_pictures_and_the_report_name_series_and_the_unit_of_time(runs, folder):
    run = runs["forecast"]
    figure = figures.series(run.data, run.predict(n_samples=20, interval=0.8))
    axes = figure.get_axes()
    assert {ax.get_xlabel() for ax in axes} == {"", "time (d)"}
    assert {ax.get_ylabel() for ax in axes} - {""} <= set(run.data.eval.names.tolist())
    report = write_report(folder / "forecast").read_text()
    assert "up to 6 rows and 2 ahead, times in d" in report
    assert "Evaluation series" in report
    assert "evaluation trials" not in report


def test_times_ahead_are_asked_for_in_the_rows_that_they_are_usually_in():
    rng = np.random.default_rng(0)
    times, own = [np.cumsum(rng.uniform(0.1, 2, n)) for n in (5, 9, 7)], [np.zeros((n, 2)) for n in (5, 9, 7)]
    ahead = [t[-1] + np.cumsum(rng.uniform(0.5, 1.5, n)) for t, n in zip(times, (3, 4, 4), strict=True)]
    seen = padded(times, own, list("abc"))
    trained = replace(seen, ahead_times=pad_times(ahead), ahead=pad_rows([np.zeros((len(a), 2)) for a in ahead]))
    usual = usual_ahead(trained)
    assert np.isnan(elapsed_ahead(trained)[0, 3])
    expected = np.median(np.stack([a[:3] - t[-1] for a, t in zip(ahead, times, strict=True)]), axis=0)
    np.testing.assert_allclose(usual[:3], np.maximum.accumulate(expected))
    padding = replace(trained, ahead_times=np.pad(trained.ahead_times, ((0, 0), (0, 1)), mode="edge"))
    np.testing.assert_array_equal(usual_ahead(padding), [*usual, usual[-1]])
    asked = [np.sort(t[-1] + rng.uniform(0.1, 6, n)) for t, n in zip(times, (1, 9, 20), strict=True)]
    rounds = in_rounds(seen, asked, usual)
    for name, wanted, last in zip("abc", asked, (t[-1] for t in times), strict=True):
        mine = rounds.series.names == name
        told = rounds.series.ahead_times[mine]
        np.testing.assert_array_equal(np.sort(told[rounds.asked[mine]]), wanted)
        assert (np.diff(told, axis=1) >= 0).all()
        np.testing.assert_allclose((told - last)[~rounds.asked[mine]], np.tile(usual, (mine.sum(), 1))[~rounds.asked[mine]])
        nearest = np.abs((told - last)[..., None] - usual).argmin(-1)
        assert (nearest == np.arange(4))[rounds.asked[mine]].all()


def test_a_table_of_forecasts_from_the_command_line(runs, folder, tmp_path, capsys):
    def run(file, *words):
        own = [
            "predict",
            str(folder / "forecast"),
            str(tmp_path / file),
            "--data",
            str(folder / "new.csv"),
            "--n-samples",
            "40",
        ]
        return predict.run(parser().parse_args([*own, *words]))

    asked = ["--horizon", "1.5", "--every", "0.5", "--quantiles", "0.1,0.5", "--interval", "0.8"]
    assert run("steps.csv", *asked)["lines"] == 12
    lines = list(csv.DictReader((tmp_path / "steps.csv").read_text().splitlines()))
    assert list(lines[0]) == ["series", "time", "channel", "mean", "median", "lower", "upper", "q0.1"]
    assert [line["series"] for line in lines] == ["b"] * 6 + ["a"] * 6
    assert [line["time"] for line in lines[:3]] == ["2024-02-25T12:00:00", "2024-02-26T00:00:00", "2024-02-26T12:00:00"]
    assert [line["channel"] for line in lines[:6]] == ["weight"] * 3 + ["temperature"] * 3
    for line in lines:
        size = 60000 if line["channel"] == "weight" else 37
        assert float(line["mean"]) == pytest.approx(size, rel=0.2)
        assert float(line["lower"]) == float(line["q0.1"]) < float(line["median"]) < float(line["upper"])
    assert f"{tmp_path / 'steps.csv'}: 12 values of 2 series" in capsys.readouterr().out
    run("days.parquet", "--times", "2024-02-27,2024-02-28")
    table = pq.read_table(tmp_path / "days.parquet").to_pydict()
    assert sorted({f"{time:%d}" for time in table["time"]}) == ["27", "28"]


def test_test_scores_lie_beside_those_of_validation(runs, folder, capsys):
    before = (folder / "forecast" / "scores.json").read_bytes()
    found = evaluate.run(parser().parse_args(["evaluate", str(folder / "forecast"), "--phase", "test"]))
    assert found["file"] == "scores_test.json"
    assert (folder / "forecast" / "scores.json").read_bytes() == before
    scores = json.loads((folder / "forecast" / "scores_test.json").read_text())
    assert {key: scores[key] for key in found["scores"]} == found["scores"]
    assert scores["forward_scaled_rmse"] != json.loads(before)["forward_scaled_rmse"]
    report = (folder / "forecast" / "report.html").read_text()
    assert f"{json.loads(before)['forward_scaled_rmse']:.4f}" in report
    assert f"{scores['forward_scaled_rmse']:.4f}" in report
    assert "<h3>Test series</h3>" in report
    again = evaluate.run(parser().parse_args(["evaluate", str(folder / "forecast"), "--phase", "val"]))
    assert again["file"] == "scores.json"


def test_rows_without_values_at_a_series_end_are_times_to_forecast(runs, folder):
    rows = [row[:4] for row in rows_of(["a"], 4, 2)]
    later = [["a", "2024-02-24", "", ""], ["a", "2024-02-25T06:00", "", ""]]
    path = write(folder / "later.csv", [*rows, *later], HEADER.removesuffix(",kind"))
    told = runs["forecast"].predict_series(path, n_samples=40).to_table()
    assert np.unique(told["time"]).astype("datetime64[h]").astype(str).tolist() == ["2024-02-24T00", "2024-02-25T06"]


def test_empty_cells_are_filled_in_and_classes_told(runs, folder):
    told = runs["interpolation"].predict_series(folder / "new.csv", n_samples=40).to_table()
    empty = [row for row in rows_of(["b", "a"], 6, 1) if not row[3]]
    assert told["series"].tolist() == [row[0] for row in empty]
    assert told["time"].astype("datetime64[D]").astype(str).tolist() == [row[1] for row in empty]
    assert set(told["channel"]) == {"temperature"}
    np.testing.assert_allclose(told["mean"], 37, atol=1)
    classes = runs["classification"].predict_series(folder / "new.csv", n_samples=40).to_table()
    assert classes["series"].tolist() == ["b", "b", "a", "a"]
    assert classes["class"].tolist() == ["ill", "well"] * 2
    np.testing.assert_allclose(classes["probability"].reshape(2, 2).sum(1), 1, atol=1e-5)


GOOD = [row[:4] for row in rows_of(["a"], 3, 3)]
BAD = {
    "no channel": ([row[:3] for row in GOOD], "patient,day,weight", "no column `temperature`, which the model was trained on"),
    "numbers": (
        [["a", f"{k}", *row[2:]] for k, row in enumerate(GOOD)],
        None,
        "are numbers, but the model was trained on dates",
    ),
    "nothing": ([[*row[:2], "", ""] for row in GOOD], None, "not one value of"),
    "twice": ([GOOD[0], *GOOD], None, "series `a` repeats the time before it"),
}


@pytest.mark.parametrize("case", BAD)
def test_tables_that_do_not_fit_are_refused(runs, folder, case):
    rows, header, sentence = BAD[case]
    path = write(folder / "bad.csv", rows, header or HEADER.removesuffix(",kind"))
    with pytest.raises(DataError, match=sentence):
        runs["forecast"].predict_series(path)


@pytest.mark.parametrize(
    ("task", "settings", "sentence"),
    [
        ("forecast", {"horizon": 5.5}, "forecasts reach 5 d beyond .* at most 2 d"),
        ("forecast", {"horizon": -1.0}, "horizon=-1.0; give a time above 0"),
        ("forecast", {"horizon": 1.0, "times": ["2024-03-01"]}, "give horizon .and every with it., or times"),
        ("forecast", {"every": 1.0}, "give horizon .and every with it., or times"),
        ("forecast", {"times": [3.0]}, "give ISO dates"),
        ("forecast", {"times": ["2024-02-27T00:00Z"]}, "give a zone to all"),
        ("interpolation", {"horizon": 1.0}, "task is interpolation: for values at other times add rows"),
    ],
)
def test_impossible_times_are_refused(runs, folder, task, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        runs[task].predict_series(folder / "new.csv", **settings)


def test_a_prediction_does_not_overwrite_what_it_reads(runs, folder):
    for target, data in (("new.csv", "new.csv"), ("own.csv", "new.csv")):
        before = (folder / target).read_bytes()
        words = ["predict", str(runs["forecast"].path), str(folder / target), "--data", str(folder / data), "--horizon", "1"]
        with pytest.raises(ConfigError, match="holds the data that are read, and would be overwritten"):
            predict.run(parser().parse_args(words))
        assert (folder / target).read_bytes() == before


def test_advice_names_no_setting_that_nobody_can_set_any_more(runs, folder):
    run, header = runs["forecast"], HEADER.removesuffix(",kind")
    with pytest.raises(DataError, match=r"^There is no file .*none.csv; give a .csv or .parquet file.$"):
        run.predict_series(folder / "none.csv")
    words = [[*GOOD[0][:2], "much", GOOD[0][3]], *GOOD[1:]]
    bad = {
        "leave unknown cells empty.": (words, header),
        "save it with the separator that the training table had.": (
            [[";".join(row)] for row in GOOD],
            header.replace(",", ";"),
        ),
        "holds no column `patient`, which the model was trained on": (GOOD, header.replace("patient", "name")),
    }
    for end, (rows, first) in bad.items():
        with pytest.raises(DataError) as error:
            run.predict_series(write(folder / "bad.csv", rows, first))
        assert end in str(error.value)
        assert "data.reader" not in str(error.value)


def test_quantiles_are_a_list(runs, folder):
    for quantiles in (0.1, "0.1", [None]):
        with pytest.raises(ConfigError, match="give a list of probabilities"):
            runs["forecast"].predict_series(folder / "new.csv", quantiles=quantiles, n_samples=20)


def test_the_test_series_are_a_split_to_predict(runs, folder, tmp_path, capsys):
    run = runs["forecast"]
    told = predict.run(parser().parse_args(["predict", str(run.path), str(tmp_path / "test.csv"), "--split", "test"]))
    lines = list(csv.DictReader((tmp_path / "test.csv").read_text().splitlines()))
    tested = run.with_data(phase="test").data.eval.names.tolist()
    assert list(dict.fromkeys(line["series"] for line in lines)) == tested
    assert not set(tested) & set(run.split("val").names.tolist())
    assert told["lines"] == len(lines)
    assert f"{len(lines)} values of {len(tested)} series" in capsys.readouterr().out
    predict.run(parser().parse_args(["predict", str(run.path), str(tmp_path / "test.h5"), "--split", "test"]))
    assert f"predictions of {len(tested)} series × 8 rows × 2 channels" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="choose one of train, eval, val, test"):
        run.predict("other")


def test_zones_are_not_mixed_and_whole_numbers_name_series_as_text_does(runs, folder):
    days = np.array(["2024-02-01", "2024-02-02", "2024-02-03"], "datetime64[us]")
    table = {"patient": pa.array([47] * 3), "day": days, "weight": [6e4, 61000.0, 62000.0], "temperature": [37.0, 37.1, None]}
    pq.write_table(pa.table(table), folder / "whole.parquet")
    told = runs["forecast"].predict_series(folder / "whole.parquet", n_samples=20).to_table()
    assert set(told["series"].tolist()) == {"47"}
    pq.write_table(pa.table(table | {"day": pa.array(days, pa.timestamp("us", "UTC"))}), folder / "zoned.parquet")
    with pytest.raises(DataError, match="have a zone, and those that the model was trained on had none"):
        runs["forecast"].predict_series(folder / "zoned.parquet")


def test_what_is_not_ahead_or_far_away_or_in_another_unit_is_said(runs, folder, capsys):
    run = runs["forecast"]
    with pytest.raises(DataError, match="series `b` has values at or after a time to forecast"):
        run.predict_series(folder / "new.csv", times=["2024-02-25"])
    run.predict_series(folder / "new.csv", horizon=3, n_samples=20)
    assert "forecasts reach 3 d beyond a last row, and in training at most 2 d" in capsys.readouterr().err
    run.predict_series(folder / "new.csv", horizon=1, every=0.25, n_samples=20)
    assert "forecasts begin 0.25 d after a last row, and in training 1 at the earliest" in capsys.readouterr().err
    kilograms = [[*row[:2], f"{float(row[2]) / 1000:.4f}", row[3]] for row in GOOD]
    run.predict_series(write(folder / "kilograms.csv", kilograms, HEADER.removesuffix(",kind")), n_samples=20)
    assert "column `weight` is" in (said := capsys.readouterr().err)
    assert "in another unit" in said
    cold = [[*row[:3], ""] for row in GOOD]
    run.predict_series(write(folder / "cold.csv", cold, HEADER.removesuffix(",kind")), n_samples=20)
    assert "column `temperature` holds no value" in capsys.readouterr().err
    long = [row[:4] for row in rows_of(["a"], 9, 3)]
    run.predict_series(write(folder / "long.csv", long, HEADER.removesuffix(",kind")), n_samples=20)
    assert "series `a` has 9 rows, and in training the longest had 6" in capsys.readouterr().err


def test_numbers_in_another_unit_of_time_are_refused_or_told(runs, capsys):
    data = copy.copy(runs["forecast"].datamodule)
    data.dated, data.step, data.time_unit = False, 1.0, "h"
    series = {step: padded([step * np.arange(4.0)], [np.zeros((4, 1))], ["a"]) for step in (1.0, 19.0, 24.0, 3600.0)}
    for step in (1.0, 19.0):
        refuse_other_unit(series[step], data, Path("new.csv"))
    assert capsys.readouterr().err == ""
    refuse_other_unit(series[24.0], data, Path("new.csv"))
    assert "24 apart in the middle, and 1 in training; if times are in another unit than then (h)" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"times seem to be in another unit than then \(h\)"):
        refuse_other_unit(series[3600.0], data, Path("new.csv"))


def test_the_example_of_the_docs_draws_what_was_known_and_what_is_told(runs, folder, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "patients").symlink_to(folder / "forecast")
    (tmp_path / "new.csv").symlink_to(folder / "new.csv")
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "bring_your_own_series.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names = {}
    exec(compile(block, "bring_your_own_series.md", "exec"), names)
    assert (tmp_path / "forecasts.png").stat().st_size > 10_000
    shown = runs["forecast"].read_series(folder / "new.csv")
    assert all((values == shown[column]).all() for column, values in names["forecast"].shown_table().items())
    rows = {(row[0], row[1]): row[2:4] for row in rows_of(["b", "a"], 6, 1)}
    assert len(shown["value"]) == sum(bool(cell) for cells in rows.values() for cell in cells)
    for name, time, channel, value in zip(*shown.values(), strict=True):
        cell = rows[name, str(time.astype("datetime64[D]"))][["weight", "temperature"].index(channel)]
        assert value == pytest.approx(float(cell), rel=1e-6)
    figure = plots.fan(names["table"], shown)
    (panel, *_) = figure.get_axes()
    line, points = panel.get_lines()
    own = (names["table"]["series"] == "b") & (names["table"]["channel"] == "weight")
    np.testing.assert_array_equal(line.get_ydata(), names["table"]["median"][own])
    assert len(points.get_ydata()) == 6
