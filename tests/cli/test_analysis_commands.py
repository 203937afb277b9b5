"""The commands that open a checkpoint, on those stored beside the tests."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import neuralsde
from neuralsde.cli import COMMANDS
from neuralsde.cli.console import finite
from neuralsde.evaluation.prediction import Prediction
from neuralsde.evaluation.scores import score

DATA = Path(__file__).parents[1] / "data"
SPIKES, SERIES = (next(DATA.glob(f"{name}-*.ckpt")) for name in ("langevinflow", "fractional"))


def only_object(out):
    """Standard output as the one JSON object that it must be."""
    found = json.loads(out)
    assert isinstance(found, dict)
    assert out.count("\n") == 1
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_examples_and_takes_json(command, run):
    status, out, _ = run(command, "--help")
    assert status == 0
    assert f"examples:\n  neuralsde {command} " in out
    assert "--json" in out


def test_predict_writes_what_python_predicts(run, tmp_path):
    path = tmp_path / "rates.h5"
    status, out, err = run("predict", SPIKES, path, "--split", "train", "--n-samples", 8, "--quantiles", "0.2,0.8", "--json")
    assert status == 0, err
    assert only_object(out) == {"file": str(path), "trials": 24, "bins": 13, "units": 12, "latents": 16}
    expected = neuralsde.load(SPIKES).predict("train", n_samples=8, quantiles=(0.2, 0.8))
    found = Prediction.load(path)
    np.testing.assert_array_equal(found.rates, expected.rates)
    np.testing.assert_array_equal(found.quantiles[0.2], expected.quantiles[0.2])


def test_predict_averages_several_checkpoints(run, tmp_path):
    path = tmp_path / "mean.h5"
    status, _, err = run("predict", SPIKES, SPIKES, path, "--n-samples", 2)
    assert status == 0, err
    expected = neuralsde.load(SPIKES).predict(n_samples=2)
    both = Prediction.load(path)
    np.testing.assert_allclose(both.rates, expected.rates, rtol=1e-5)
    assert both.latents.shape[2] == 2 * expected.latents.shape[2]


def test_predict_forecasts_and_writes_nwb(run, tmp_path):
    pytest.importorskip("pynwb", reason="pynwb is not installed (extra `nlb`)")
    path = tmp_path / "ahead.nwb"
    status, out, err = run("predict", SERIES, path, "--ahead", 4, "--average", "median", "--n-samples", 3)
    assert status == 0, err
    assert "6 trials × 4 bins × 1 channels" in out
    with h5py.File(path) as file:
        assert file["processing/neuralsde/rates/data"].shape == (6 * 4, 1)


def test_sample_draws_from_the_prior(run, tmp_path):
    path = tmp_path / "trials.h5"
    status, out, err = run("sample", SERIES, path, "--n", 5, "--bins", 20, "--seed", 3, "--json")
    assert status == 0, err
    assert only_object(out)["trials"] == 5
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["observations"], neuralsde.load(SERIES).generate(5, 20, 3)[0])
        assert file["latents"].shape[:2] == (5, 20)
        assert file["times"].shape == (20,)


def test_decode_scores_beside_smoothed_spikes(run, tmp_path):
    words = ["decode", SPIKES, "--target", "condition", "--n-samples", 2, "--folds", 3]
    status, out, err = run(*words, "--json", "--into", tmp_path)
    assert status == 0, err
    found = only_object(out)
    assert found["smoothed"]["source"] == "smoothed"
    assert found == {"checkpoint": str(SPIKES), **json.loads((tmp_path / "decode.json").read_text())}
    assert (tmp_path / "decoded.png").stat().st_size > 5000
    assert f"{found['scores']['accuracy']:.4f}" in err  # the table, which without --json is on standard output


def test_dynamics_prints_and_writes_its_points(run, tmp_path):
    status, out, err = run("dynamics", SPIKES, "--n-samples", 2, "--seeds", 10, "--into", tmp_path, "--json")
    assert status == 0, err
    found = only_object(out)
    (point,) = found["fixed_points"]
    assert point["kind"] == "stable"
    assert found["learned"]["friction"]["unit"] == "1/s"
    assert {p.name for p in tmp_path.iterdir()} == {"dynamics.json", "flow.png", "eigenvalues.png", "potential.png"}
    assert "friction:" in err
    assert "stable" in err


def test_an_ensemble_scores_the_mean_of_its_rates(run, tmp_path):
    copy = tmp_path / "copy.ckpt"
    shutil.copy(SPIKES, copy)
    status, out, err = run("evaluate", SPIKES, copy, "--into", tmp_path / "both", "--json")
    assert status == 0, err
    together, alone = only_object(out), neuralsde.load(SPIKES)
    assert json.loads((tmp_path / "both" / "scores.json").read_text())["co_bps"] == together["scores"]["co_bps"]
    assert together["checkpoints"] == [str(SPIKES), str(copy)]
    # The same weights twice predict what they do once.
    expected = score(alone.data, None, alone.predict().rates)["co_bps"]
    assert together["scores"]["co_bps"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["predict", SPIKES, "rates.txt"], "rates.txt is no kind of file"),
        (["predict", SPIKES, "x.h5", "--quantiles", "a,b"], "'a,b' is no list of numbers"),
        (["predict", SPIKES, "x.h5", "--split", "test"], "no split 'test'"),
        (["predict", SPIKES, "x.csv", "--split", "eval", "--data", "new.csv"], "but --data names other series"),
        (["predict", "wandb:model", "x.h5"], "names no artifact"),
        (["evaluate", SPIKES, "--top", 3], "--top 3 is for a search's folder"),
        (["sample", SPIKES, "x.h5"], "cannot be sampled from: its decoder also reads the encoder's context"),
        (["decode", SPIKES], "has no behaviour"),
        (["decode", SPIKES, "--target", "condition", "--lags-ms", "7"], "one value per trial"),
        (["dynamics", SPIKES, "--seeds", "0"], "seeds=0"),
        (["evaluate", SPIKES, SERIES], "say with --into"),
        (["evaluate", SPIKES, SERIES, "--into", "x"], "were not trained on the same trials"),
    ],
    ids=lambda value: " ".join(map(str, value[:1] + value[2:])) if isinstance(value, list) else "",
)
def test_a_mistake_gets_a_sentence_status_2_and_no_output(words, sentence, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*words, "--json")
    assert status == 2
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_json_cannot_say_are_null():
    assert finite({"a": [float("nan"), 1.0], "b": (float("inf"),), "c": "x"}) == {"a": [None, 1.0], "b": [None], "c": "x"}
