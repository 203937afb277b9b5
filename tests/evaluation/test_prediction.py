"""Predictions: how samples are summed up, in bounded memory, and how they are written and read."""

import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from neuralsde.errors import ConfigError, DataError, NeuralSDEError
from neuralsde.evaluation import extras
from neuralsde.evaluation import predict as predicting
from neuralsde.evaluation.load import Run
from neuralsde.evaluation.prediction import Prediction
from tests.helpers.tiny import TINY_LORENZ, light_config, light_data, light_training, tiny_simulated


def opened(*words):
    run = Run(
        light_training(copy.deepcopy(light_config(*words)), light_data(*words)).eval(), light_config(*words), Path("unused")
    )
    run.__dict__["datamodule"] = light_data(*words)
    return run


@pytest.fixture(scope="module")
def run():
    return opened(*TINY_LORENZ, "model=latent_sde")


@pytest.fixture(scope="module")
def irregular():
    """Real values at times of their own in each trial."""
    words = [*tiny_simulated("double_well"), "data.irregular=true"]
    return opened(*words, "model=latent_sde", "model/likelihood=gaussian")


@pytest.fixture(scope="module")
def prediction(run):
    return run.predict(n_samples=20, interval=0.8, quantiles=(0.1, 0.5))


def equal(a, b):
    for name in ("rates", "latents", "lower", "upper"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.quantiles.keys() == b.quantiles.keys()
    for p, values in a.quantiles.items():
        np.testing.assert_array_equal(values, b.quantiles[p])


def test_quantiles_and_the_interval_are_of_the_same_draws(prediction):
    np.testing.assert_array_equal(prediction.quantiles[0.1], prediction.lower)
    assert (prediction.quantiles[0.5] <= prediction.upper).all()
    assert (prediction.quantiles[0.5] >= prediction.lower).all()


def test_samples_by_the_batch_have_the_law_of_samples_one_by_one(run):
    one, many = (run.predict(n_samples=20, sample_batch=k).rates for k in (1, 17))
    draws = np.stack([run.predict(n_samples=1, seed=s).rates for s in range(1, 11)])
    # The largest of 936 entries lies within 6 standard errors of a difference of two means of 20; a batch that were summed and
    # not averaged would be 17 times too large.
    assert (abs(one - many) < 6 * draws.std(0, ddof=1).max() * np.sqrt(2 / 20)).all()
    assert not np.array_equal(one, many)


def test_the_median_is_the_middle_sample_and_heavy_tails_do_not_move_it(run, monkeypatch):
    likelihood = run.module.model.likelihood
    passed = []
    mean = type(likelihood).mean
    monkeypatch.setattr(type(likelihood), "mean", lambda self, p: passed.append(mean(self, p)) or passed[-1])
    found = run.predict(n_samples=5, average="median", sample_batch=1).rates
    np.testing.assert_array_equal(found, np.median(torch.stack(passed).numpy(), axis=0))
    assert not np.array_equal(found, run.predict(n_samples=5, sample_batch=1).rates)


@pytest.mark.parametrize("settings", [{"interval": 0.5}, {"average": "median"}, {"interval": 0.5, "average": "median"}])
def test_what_is_held_at_a_time_does_not_grow_with_the_samples(run, monkeypatch, settings):
    """At most `KEPT` numbers of draws lie in memory, whatever is asked for."""
    spec, held = run.module.spec, []
    numbers = spec.total_bins * spec.target_dim
    monkeypatch.setattr(predicting, "KEPT", 2 * numbers * 40)
    summarise = predicting.summarise

    def watched(module, passes, sampling, advance):
        part = summarise(module, passes, sampling, advance)
        held.append(len(part.rates) * numbers * sampling.n_samples * len(settings))
        return part

    monkeypatch.setattr(predicting, "summarise", watched)
    found = run.predict(n_samples=40, sample_batch=20, **settings)
    assert len(found) == len(run.data.eval) == 30 - 24
    assert max(held) <= 2 * numbers * 40
    assert len(held) > 1


def test_a_bar_counts_every_pass_on_standard_error(run, capsys, monkeypatch):
    steps = []
    monkeypatch.setattr(predicting.Progress, "advance", lambda self, task: steps.append(task))
    run.predict(n_samples=7, sample_batch=2, batch_size=4, label="trials")
    assert len(steps) == 4 * 2  # passes of 2, 2, 2, 1 samples; two batches of trials
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"quantiles": (0.01,), "n_samples": 20}, r"quantiles=\[0\.01\] of n_samples=20, .* at least 99 samples"),
        ({"quantiles": (1.5,)}, r"quantiles=\[1\.5\]; give probabilities"),
        ({"average": "mode"}, "average='mode'; give rate, log_rate or median"),
        ({"sample_batch": 0}, "sample_batch=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"interval": 0.9, "n_samples": 10**9}, r"n_samples=1000000000, .* GB for one trial; give at most \d+\."),
        ({"trials": "test"}, "no split 'test' of lorenz; choose one of train, eval, heldout_conditions"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_impossible_settings_get_a_sentence(run, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        run.predict(**settings)


def test_probabilities_have_no_median():
    words = [*tiny_simulated("double_well_class"), "model=latent_sde", "model/likelihood=categorical"]
    with pytest.raises(ConfigError, match="does not sum to one over classes"):
        opened(*words).predict(average="median")


def test_axes_say_what_is_observed_and_what_is_not(run, prediction, irregular):
    spec = run.module.spec
    assert prediction.forward_rates.shape == (6, spec.forward_bins, spec.target_dim)
    np.testing.assert_array_equal(prediction.heldout_rates, prediction.rates[:, :10, 9:])
    ahead = irregular.forecast(4, n_samples=2)
    last, width = irregular.data.eval.times[:, 7:8], irregular.module.spec.bin_width_s
    np.testing.assert_allclose(ahead.axes.times, last + width * np.arange(1, 5))
    assert ahead.forward_rates.shape == ahead.rates.shape
    with pytest.raises(NeuralSDEError, match="does not say what its axes stand for"):
        _ = Prediction(prediction.rates, prediction.latents).forward_rates


def test_a_file_holds_the_whole_prediction(prediction, tmp_path):
    path = tmp_path / "new" / "prediction.h5"
    prediction.save(path)
    found = Prediction.load(path)
    equal(found, prediction)
    before, after = vars(prediction.axes), vars(found.axes)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    bare = Prediction(prediction.rates, prediction.latents)
    bare.save(path)
    assert Prediction.load(path).coordinates is None
    assert [p.name for p in path.parent.iterdir()] == ["prediction.h5"]


def test_a_write_that_fails_leaves_the_old_file(prediction, tmp_path, monkeypatch):
    path = tmp_path / "prediction.h5"
    prediction.save(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        replace(prediction, rates=prediction.rates + 1).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["prediction.h5"]


def test_other_files_are_no_predictions(prediction, tmp_path):
    other, text, cut = (tmp_path / name for name in ("other.h5", "text.h5", "cut.h5"))
    h5py.File(other, "w").close()
    text.write_text("no HDF5")
    prediction.save(cut)
    cut.write_bytes(cut.read_bytes()[:1000])
    for path, sentence in ((other, "holds no prediction"), (text, "no HDF5 file"), (cut, "cut short|no HDF5 file")):
        with pytest.raises(DataError, match=sentence):
            Prediction.load(path)
    with pytest.raises(DataError, match="There is no file"):
        Prediction.load(tmp_path / "absent.h5")


def test_labelled_arrays(run, prediction):
    pytest.importorskip("xarray", reason="xarray is not installed (extra `analysis`)")
    found = prediction.to_xarray()
    assert found.rates.dims == ("trial", "time", "unit")
    assert found.latents.dims == ("trial", "time", "latent")
    np.testing.assert_allclose(found.time, run.module.spec.bin_width_s * np.arange(13))
    assert found.rates.sel(time=found.observed).shape[1] == 10
    assert found.rates.isel(unit=found.heldout.values).shape[2] == 3
    np.testing.assert_array_equal(found.sel(quantile=0.5)["quantiles"], prediction.quantiles[0.5])
    names = run.data.condition_names
    if names:
        assert set(found.condition.values) <= set(names)


def test_irregular_times_are_a_coordinate_of_their_own(irregular):
    pytest.importorskip("xarray", reason="xarray is not installed (extra `analysis`)")
    found = irregular.predict(n_samples=2).to_xarray()
    assert found.elapsed.dims == ("trial", "time")
    np.testing.assert_allclose(found.elapsed, irregular.data.eval.times)


def test_an_nwb_file_says_which_samples_are_whose(prediction, tmp_path):
    pynwb = pytest.importorskip("pynwb", reason="pynwb is not installed (extra `nlb`)")
    path = tmp_path / "prediction.nwb"
    prediction.to_nwb(path)
    with pynwb.NWBHDF5IO(path, "r") as file:
        nwb = file.read()
        module, trials = nwb.processing["neuralsde"], nwb.trials
        rates = module["rates"]
        assert (rates.unit, rates.conversion) == ("Hz", pytest.approx(1 / prediction.axes.bin_width_s))
        time, start, stop = rates.timestamps[:], trials["start_time"][:], trials["stop_time"][:]
        for row in range(len(prediction)):
            own = (time >= start[row] - 1e-9) & (time < stop[row] - 1e-9)
            np.testing.assert_array_equal(rates.data[own], prediction.rates[row])
            np.testing.assert_array_equal(module["latents"].data[own], prediction.latents[row])
        assert (start[1:] >= stop[:-1]).all()


def test_libraries_that_are_not_there_are_named(prediction, monkeypatch, tmp_path):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras, "importlib", SimpleNamespace(import_module=absent))
    with pytest.raises(ConfigError, match=r"to_xarray needs xarray, .* pip install 'neuralsde\[analysis\]'"):
        prediction.to_xarray()
    with pytest.raises(ConfigError, match=r"to_nwb needs pynwb, .* pip install 'neuralsde\[nlb\]'"):
        prediction.to_nwb(tmp_path / "x.nwb")
    assert list(tmp_path.iterdir()) == []
