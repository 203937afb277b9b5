"""The Lorenz generator: its equations, its statistics, its splits."""

import dataclasses

import hydra
import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.integrate import solve_ivp

from neuralsde.datamodules.lorenz import LorenzData, above_zero, at_least
from neuralsde.datamodules.lorenz_system import lorenz, random_starts, trajectories
from neuralsde.errors import ConfigError

SMALL = {"n_conditions": 6, "trials_per_condition": 10, "heldout_conditions": 2, "n_neurons": 12, "observed_bins": 20}


@pytest.fixture(scope="module")
def default():
    return hydra.utils.instantiate(OmegaConf.load("configs/data/lorenz.yaml")).data


def all_counts(trials):
    return np.concatenate([trials.heldin, trials.heldout], axis=-1)


def test_trajectories_solve_the_lorenz_equations():
    start = random_starts(np.random.default_rng(0), 3)
    path = trajectories(start, bins=4, bin_time=0.04)
    assert path.shape == (3, 4, 8, 3)
    times = (np.arange(32) + 0.5) * 0.005  # the middle of each fine step
    for first, solved in zip(start, path.reshape(3, 32, 3), strict=True):
        exact = solve_ivp(lambda t, z: lorenz(z), (0, 0.16), first, t_eval=times, rtol=1e-10, atol=1e-10).y.T
        np.testing.assert_allclose(solved, exact, atol=1e-4)


def test_default_has_the_statistics_of_the_literature(default):
    assert (len(default.train), len(default.eval), len(default.extra["heldout_conditions"])) == (1248, 312, 312)
    spec = default.spec
    assert (spec.observed_dim, spec.target_dim, spec.observed_bins, spec.bin_width_s) == (24, 29, 50, 0.02)
    counts = np.concatenate([all_counts(default.train), all_counts(default.eval)])
    # 2 262 000 draws of variance below 1: the standard error of the mean is below .001.
    assert counts.mean() == pytest.approx(0.257, abs=0.003)
    assert (counts == 0).mean() == pytest.approx(0.83, abs=0.015)
    assert 15 <= counts.max() <= 30


def test_counts_are_poisson_with_the_given_rates(default):
    counts, rates = all_counts(default.train).astype(float), default.train.rates.astype(float)

    def dispersion(scale):
        return np.mean((counts - scale * rates) ** 2) / np.mean(scale * rates)

    # Mean squared error over mean is 1 for Poisson counts; its standard error over 1.8 M entries is below .01.
    assert dispersion(1.0) == pytest.approx(1, abs=0.03)
    # The control: rates 15 % too high are found out.
    assert abs(dispersion(1.15) - 1) > 0.06


def test_rates_are_smooth_on_the_bins(default):
    step = np.diff(np.log(default.eval.rates), axis=1)
    assert np.sqrt((step**2).mean()) < 0.4 * np.log(default.eval.rates).std((0, 1)).mean()


def test_log_rates_are_affine_in_the_states(default):
    for trials in (default.eval, default.extra["heldout_conditions"]):
        states, log_rates = trials.states.reshape(-1, 3).astype(float), np.log(trials.rates.reshape(-1, 29)).astype(float)
        assert trials.states.shape == (312, 50, 3)

        def unexplained(rows, log_rates=log_rates):
            rows = np.column_stack([rows, np.ones(len(rows))])
            residual = log_rates - rows @ np.linalg.lstsq(rows, log_rates)[0]
            return residual.var() / log_rates.var(0).mean()

        assert unexplained(states) < 0.002  # a bin's mean rate is not the rate of its mean state
        assert unexplained(states[:, :2]) > 0.1
    assert np.allclose(default.train.states.std((0, 1)), 1, atol=0.02)


def test_evaluation_shares_conditions_and_the_extra_split_does_not(default):
    unseen = default.extra["heldout_conditions"].condition
    assert set(default.eval.condition) == set(default.train.condition) == set(range(65))
    assert set(unseen) == set(range(65, 78))
    assert len(default.condition_names) == default.spec.n_conditions == 78
    ids = [s.trial_id for s in (default.train, default.eval, default.extra["heldout_conditions"])]
    assert len(np.unique(np.concatenate(ids))) == 1872
    # Trials of one condition repeat its rates, and no held-out condition repeats those of another.
    first = default.eval[default.eval.condition == 3].rates
    np.testing.assert_array_equal(first, np.broadcast_to(first[0], first.shape))
    assert np.abs(np.log(default.extra["heldout_conditions"].rates[0] / default.train.rates)).max((1, 2)).min() > 0.5


def test_the_seed_decides_everything():
    first, again, other = (LorenzData(8, **SMALL, data_seed=s).data for s in (0, 0, 1))
    for f in dataclasses.fields(first.train):
        np.testing.assert_array_equal(getattr(first.train, f.name), getattr(again.train, f.name))
    assert not np.array_equal(first.train.heldin, other.train.heldin)


def test_more_held_out_conditions_change_nothing_else():
    few, more = (LorenzData(8, **SMALL | {"heldout_conditions": n}).data for n in (0, 4))
    np.testing.assert_array_equal(few.train.heldin, more.train.heldin)
    assert few.extra == {}
    assert len(more.extra["heldout_conditions"]) == 40


def test_forward_bins_and_observing_all_neurons():
    data = LorenzData(8, **SMALL, forward_bins=5, n_heldout=0).data
    assert data.train.heldout is None
    assert data.train.heldin_forward.shape == (48, 5, 12)
    assert data.train.heldout_forward is None
    assert data.train.rates.shape == (48, 25, 12)
    data = LorenzData(8, **SMALL, forward_bins=5, n_heldout=3).data
    assert data.eval.heldout_forward.shape == (12, 5, 3)


def test_batches_come_out(default):
    module = LorenzData(16, **SMALL)
    module.setup()
    batch = next(iter(module.train_dataloader()))
    assert batch.values.shape == (16, 20, 7)
    assert batch.targets.shape == (16, 20, 12)
    assert batch.known.all()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"n_conditions": 0}, "data.n_conditions is 0; give at least 1"),
        ({"n_conditions": 1, "trials_per_condition": 4}, "is 4; give at least 5"),
        ({"bin_width_s": 0.0}, "data.bin_width_s is 0.0; give a number above 0"),
        ({"mean_count": float("nan")}, "data.mean_count is nan"),
        ({"mean_count": 1e30}, r"data.mean_count is 1e\+30; give at most"),
        ({"log_rate_sd": 1000.0}, "data.log_rate_sd is 1000; give at most"),
        ({"time_scale": 1e9}, r"data.time_scale \* data.bin_width_s is 2e\+07; give at most"),
        ({"bin_width_s": float("inf")}, "data.bin_width_s is inf; give a number above 0"),
        ({"forward_bins": -1}, "data.forward_bins is -1"),
        ({"n_heldout": 29}, "data.n_heldout is 29, but data.n_neurons is 29; hold out fewer"),
        ({"data_seed": -1}, "data.data_seed is -1; give at least 0, a whole number"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        LorenzData(8, **setting)


def test_settings_of_another_type_are_refused_in_a_sentence():
    with pytest.raises(ConfigError, match=r"data.n_conditions is 2.5; give at least 1, a whole number"):
        at_least("n_conditions", 2.5, 1)
    with pytest.raises(ConfigError, match=r"data.mean_count is x; give a number above 0"):
        above_zero("mean_count", "x")
