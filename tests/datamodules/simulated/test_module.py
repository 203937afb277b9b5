"""The datamodule: what decides what, what is hidden, when, and which settings it refuses."""

import dataclasses
from pathlib import Path

import hydra
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.simulated import Categorical, Gaussian, Poisson, SimulatedData, Stochastic
from neuralsde.datamodules.simulated.module import hidden_bins, irregular_times
from neuralsde.errors import ConfigError
from neuralsde.sde import DoubleWell, OrnsteinUhlenbeck
from neuralsde.solvers import EulerMaruyama

SIZES = {"n_train": 40, "n_eval": 10, "observed_bins": 20, "forward_bins": 5, "bin_width_s": 0.1}


def make(observation=None, system=None, **settings):
    system = system or Stochastic(OrnsteinUhlenbeck(1.0, 0.0, 1.0), EulerMaruyama(), [0.0, 5.0], 1.0, 5)
    return SimulatedData("made", 8, system, observation or Gaussian(0.1), **SIZES | settings)


def assert_same(first, second, but=()):
    for f in dataclasses.fields(first):
        if f.name not in but:
            np.testing.assert_array_equal(getattr(first, f.name), getattr(second, f.name))


def test_the_seed_decides_everything():
    first, again, other = (make(data_seed=s, irregular=True, eval_drop=0.3).data for s in (0, 0, 1))
    assert_same(first.train, again.train)
    assert_same(first.eval, again.eval)
    assert not np.array_equal(first.train.states, other.train.states)


def test_parts_are_independent():
    """More evaluation trials, hidden bins, noise and held-out channels change nothing else."""
    base = make(Poisson(6, 1.0, 0.5)).data
    assert_same(base.train, make(Poisson(6, 1.0, 0.5), n_eval=20).data.train)
    dropped = make(Poisson(6, 1.0, 0.5), train_drop=0.5, eval_drop=0.5).data
    assert_same(base.train, dropped.train, but=("heldin",))
    assert_same(base.eval, dropped.eval, but=("heldin",))
    seen = ~np.isnan(dropped.eval.heldin)
    np.testing.assert_array_equal(base.eval.heldin[seen], dropped.eval.heldin[seen])
    quiet, loud = make(Gaussian(0.0)).data, make(Gaussian(3.0)).data
    assert_same(quiet.train, loud.train, but=("heldin", "heldin_forward"))
    np.testing.assert_allclose(quiet.train.heldin, quiet.train.rates[:, :20])
    held = make(Poisson(6, 1.0, 0.5), n_heldout=2).data
    np.testing.assert_array_equal(np.concatenate([held.train.heldin, held.train.heldout], -1), base.train.heldin)
    np.testing.assert_array_equal(held.train.rates, base.train.rates)


def test_training_and_evaluation_trials_are_different_draws():
    data = make(n_eval=40).data
    assert not np.intersect1d(data.train.states, data.eval.states).size
    assert len(np.unique(np.concatenate([data.train.trial_id, data.eval.trial_id]))) == 80


def test_states_are_standardised_over_the_training_trials_alone():
    data, raw = make().data, make(standardise=False).data
    np.testing.assert_allclose(data.train.states.mean((0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose(data.train.states.std((0, 1)), 1, rtol=1e-5)
    mean, scale = raw.train.states.mean((0, 1)), raw.train.states.std((0, 1))
    assert mean[1] > 1
    np.testing.assert_allclose(data.eval.states, (raw.eval.states - mean) / scale, atol=1e-5)


def test_sizes_kind_and_shapes():
    module = make(Categorical(4, 5.0))
    assert module.kind == "category"  # before anything is read
    data, spec = module.data, module.spec
    assert (spec.kind, spec.n_classes, spec.observed_dim, spec.target_dim) == ("category", 4, 2, 2)
    assert (spec.observed_bins, spec.forward_bins, spec.bin_width_s, spec.longest_s) == (20, 5, 0.1, None)
    assert data.train.rates.shape == (40, 25, 8)
    assert data.train.heldin_forward.shape == (40, 5, 2)
    assert data.train.states.shape == (40, 25, 2)
    assert data.train.heldout is data.train.times is None
    assert make().kind == "real"
    assert make(Poisson(6, 1.0, 0.5), n_heldout=2).spec.observed_dim == 4


@pytest.mark.parametrize(("share", "bins"), [(0.0, 0), (0.25, 5), (0.5, 10), (0.99, 19)])
def test_the_share_of_bins_is_hidden_whole(share, bins):
    data = make(train_drop=share, eval_drop=0.5).data
    for trials, hidden in ((data.train, bins), (data.eval, 10)):
        missing = np.isnan(trials.heldin)
        assert (missing.sum(1) == hidden).all()  # one bin stays, even at .99
        np.testing.assert_array_equal(missing[..., 0], missing[..., 1])
        assert not np.isnan(trials.rates).any()
        assert not np.isnan(trials.heldin_forward).any()


def test_every_bin_is_hidden_equally_often():
    hidden = hidden_bins(np.random.default_rng(0), 5000, 10, 0.3)
    assert np.abs(hidden.mean(0) - 0.3).max() < 6 * np.sqrt(0.3 * 0.7 / 5000)


def test_irregular_times():
    times = irregular_times(np.random.default_rng(0), 4000, 11, 0.1)
    assert (times[:, 0] == 0).all()
    assert np.diff(times).min() >= 0.01 - 1e-12
    assert 0.99 < times[:, -1].max() <= 1.0
    # Without the distances, the times after 0 are ten sorted uniform ones on [0, .9]: their mean is .45.
    free = times[:, 1:] - 0.01 * np.arange(1, 11)
    error = 0.9 / np.sqrt(12 * free.size)
    assert abs(free.mean() - 0.45) < 6 * error
    assert abs(times[:, 1:].mean() - 0.45) > 6 * error


def test_irregular_times_reach_the_batch():
    module = make(irregular=True)
    module.setup()
    batch = next(iter(module.val_dataloader()))
    assert batch.times.shape == (10, 25)
    assert module.spec.longest_s == module.spec.duration_s == pytest.approx(2.4)
    assert (np.diff(module.data.train.times, axis=1) > 0).all()
    assert not np.array_equal(module.data.train.times[0], module.data.train.times[1])


def test_batches_know_what_is_hidden():
    module = make(train_drop=0.5)
    module.setup()
    batch = next(iter(module.train_dataloader()))
    assert batch.values.shape == (8, 20, 2)
    assert batch.seen.float().mean() == 0.5
    assert (batch.known[:, :20] == batch.seen).all()
    assert batch.known[:, 20:].all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_train": 0}, "data.n_train is 0; give at least 1"),
        ({"n_eval": 0}, "data.n_eval is 0"),
        ({"observed_bins": 0}, "data.observed_bins is 0"),
        ({"observed_bins": 1, "forward_bins": 0}, r"data.observed_bins \+ data.forward_bins is 1; give at least 2"),
        ({"forward_bins": -1}, "data.forward_bins is -1"),
        ({"bin_width_s": 0.0}, "data.bin_width_s is 0.0; give a number above 0"),
        ({"train_drop": 1.0}, "data.train_drop is 1.0; give a share from 0 to below 1"),
        ({"eval_drop": -0.1}, "data.eval_drop is -0.1"),
        ({"n_heldout": 2}, "data.n_heldout is 2, but there are 2 channels; hold out fewer"),
        ({"data_seed": -1}, "data.data_seed is -1"),
        ({"observation": Gaussian(0.1, 7)}, "n_channels is 7, but the system has 2 states"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make(**settings)


def test_states_that_never_vary_cannot_be_standardised():
    still = Stochastic(DoubleWell(sigma=0.0), EulerMaruyama(), [1.0], 0.0, 2)
    with pytest.raises(ConfigError, match=r"state 0 of DoubleWell never varies; .* or data.standardise=false"):
        make(system=still).data  # noqa: B018
    assert (make(system=still, standardise=False).data.train.states == 1).all()


SIMULATED = [p.stem for p in sorted(Path(CONFIGS, "data").glob("*.yaml")) if "SimulatedData" in p.read_text()]


@pytest.mark.parametrize("name", SIMULATED)
def test_every_config_makes_its_data(name):
    if name == "chaos":
        pytest.importorskip("dysts", reason="dysts is not installed: pip install neuralsde[chaos]")
    steps = [] if name == "chaos" else ["data.system.substeps=4"]
    burn_in = [] if name == "chaos" or name.startswith("fractional") else ["data.system.burn_in_s=0.5"]
    data = configured(f"data={name}", "data.train_drop=0.0", *steps, *burn_in).data
    assert data.name == name
    assert len(data.train) == 12
    assert np.isfinite(data.train.heldin).all()
    assert np.isfinite(data.eval.rates).all()


@pytest.mark.parametrize("observation", [p.stem for p in sorted(Path(CONFIGS, "data/observation").glob("*.yaml"))])
def test_every_observation_goes_with_a_system(observation):
    module = configured("data=stochastic_lorenz", f"data/observation={observation}", "data.system.substeps=4")
    assert module.spec.kind == module.kind
    assert np.isfinite(module.data.train.heldin).all()


def configured(*overrides):
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=["run_dir=unused", *overrides, "data.n_train=12", "data.n_eval=4"])
    return hydra.utils.instantiate(config.data)


def test_the_benchmark_has_its_published_settings():
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=["run_dir=unused", "data=stochastic_lorenz"]).data
    module = hydra.utils.instantiate(config)
    sde, system = module.system.sde, module.system
    assert (sde.prandtl, sde.rayleigh, sde.alpha) == (10, 28, 0.15)
    assert sde.beta == pytest.approx(8 / 3)
    assert (system.substeps, module.observation.noise_std, module.n_train) == (100, 0.01, 1024)
    assert module.observed_bins == 41
    assert (module.observed_bins - 1) * module.bin_width_s == pytest.approx(1.0)
    assert (system.start_mean == 0).all()
    assert (system.start_std == 1).all()
