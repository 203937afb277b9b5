"""Simulated states have the laws of their equations. Bounds are six standard errors; each has a control that must fail."""

import numpy as np
import pytest
import torch
from torch import nn

from neuralsde.datamodules.simulated import Stochastic
from neuralsde.datamodules.simulated.module import irregular_times
from neuralsde.errors import ConfigError, DivergenceError
from neuralsde.sde import DoubleWell, GeometricBrownian, OrnsteinUhlenbeck, StochasticLorenz, UnderdampedLangevin
from neuralsde.solvers import EulerMaruyama, LogEuler, Milstein

N = 20_000
OU = {"rate": 2.0, "mean": 1.0, "sigma": 2.0}  # stationary at N(1, 1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def grid(n, bins, width):
    return np.tile(np.arange(bins) * width, (n, 1))


def normal_moments(x, mean, variance):
    """Whether mean and variance of normal `x` (n,) lie within six standard errors of these."""
    close_mean = abs(x.mean() - mean) < 6 * np.sqrt(variance / len(x))
    return close_mean and abs(x.var() / variance - 1) < 6 * np.sqrt(2 / len(x))


@pytest.mark.parametrize("burn_in_s", [0.0, 4.0])
def test_ornstein_uhlenbeck_is_stationary_at_its_closed_form(rng, burn_in_s):
    """From far away, after 4 s (eight relaxation times), within the trial or before it, in steps of 40 ms."""
    width, substeps = (0.2, 5) if burn_in_s else (2.0, 50)
    variance = 1 / (1 - 2.0 * 0.04 / 2)  # sigma²/2 theta, and what Euler's steps h add to it: a factor 1 / (1 - theta h / 2)

    def last(**changed):
        system = Stochastic(OrnsteinUhlenbeck(**OU | changed), EulerMaruyama(), [3.0], 0.0, substeps, burn_in_s)
        return system.states(rng, grid(N, 3, width))[:, 0 if burn_in_s else -1, 0]

    assert normal_moments(last(), 1.0, variance)
    assert not normal_moments(last(sigma=2.1), 1.0, variance)  # 10 standard errors away
    assert not normal_moments(last(mean=1.1), 1.0, variance)  # 14 standard errors away


def test_geometric_brownian_motion_has_its_log_moments_at_irregular_times(rng):
    mu, sigma, times = 0.1, 0.5, irregular_times(rng, N // 4, 5, 0.5)
    system = Stochastic(GeometricBrownian(mu, sigma), LogEuler(), [1.5], 0.0, 1)
    logs = np.log(system.states(rng, times)[..., 0] / 1.5)[:, 1:]
    t = times[:, 1:]

    def standard(t, drift):
        """At one bin at a time, since bins of a trial are correlated; 5 000 trials each."""
        z = (logs - drift * t) / (sigma * np.sqrt(t))
        return all(normal_moments(z[:, bin], 0.0, 1.0) for bin in range(4))

    assert standard(t, mu - sigma**2 / 2)
    assert not standard(t, mu)  # the control: Itô's correction forgotten
    assert not standard(np.roll(t, 1, axis=0), mu - sigma**2 / 2)  # the control: another trial's times


def test_the_start_is_normal(rng):
    start = Stochastic(StochasticLorenz(), EulerMaruyama(), [0.0, 1.0, -2.0], [1.0, 0.5, 2.0], 1).states(rng, grid(N, 2, 0.01))
    for state, (mean, std) in enumerate(((0.0, 1.0), (1.0, 0.5), (-2.0, 2.0))):
        assert normal_moments(start[:, 0, state], mean, std**2)
    assert not normal_moments(start[:, 0, 0], 0.0, 1.1**2)


def test_states_are_in_double_precision_and_between_bins_the_path_goes_on(rng):
    """Two trials of the same noise on a grid and on half of it, where the noise plays no part."""
    system = Stochastic(StochasticLorenz(alpha=0.0), EulerMaruyama(), [1.0, 1.0, 20.0], 0.0, 20)
    fine = system.states(rng, grid(1, 21, 0.01))
    coarse = Stochastic(StochasticLorenz(alpha=0.0), EulerMaruyama(), [1.0, 1.0, 20.0], 0.0, 40).states(rng, grid(1, 11, 0.02))
    assert fine.dtype == np.float64
    np.testing.assert_allclose(fine[:, ::2], coarse, rtol=1e-10)


def test_parameters_to_learn_and_matrix_noise_are_simulated_too(rng):
    rate = nn.Parameter(torch.tensor([1.0, 2.0]))
    system = Stochastic(OrnsteinUhlenbeck(rate, torch.zeros(2), torch.ones(2)), EulerMaruyama(), [0.0, 0.0])
    assert system.states(rng, grid(2, 3, 0.1)).shape == (2, 3, 2)
    langevin = UnderdampedLangevin(lambda x: (x**2).sum(-1) / 2)
    assert np.isfinite(Stochastic(langevin, EulerMaruyama(), [0.0, 0.0]).states(rng, grid(2, 3, 0.1))).all()


@pytest.mark.parametrize(
    ("sde", "solver", "settings", "sentence"),
    [
        (StochasticLorenz(), EulerMaruyama(), {"start_mean": [0.0, 1.0]}, r"start_mean has 2 numbers, but StochasticLorenz"),
        (
            DoubleWell(),
            LogEuler(),
            {"start_mean": [0.0]},
            "LogEuler solves equations of type AbstractGeometric, but DoubleWell",
        ),
        (DoubleWell(), Milstein(), {"start_mean": []}, r"data.system.start_mean is \[\]; give one finite number per state"),
        (DoubleWell(), Milstein(), {"start_mean": [0.0], "start_std": -1.0}, r"start_std is \[-1.0\]; give .* at least 0 per"),
        (
            DoubleWell(),
            Milstein(),
            {"start_mean": [0.0], "start_std": [1.0, 1.0]},
            "has 2 numbers, but data.system.start_mean has 1",
        ),
        (DoubleWell(), Milstein(), {"start_mean": [float("nan")]}, "give one finite number"),
        (DoubleWell(), Milstein(), {"start_mean": [0.0], "substeps": 0}, "data.system.substeps is 0; give at least 1"),
        (
            DoubleWell(),
            Milstein(),
            {"start_mean": [0.0], "burn_in_s": -1.0},
            "data.system.burn_in_s is -1.0; give a number above 0",
        ),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(sde, solver, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Stochastic(sde, solver, **settings)


def test_steps_that_are_too_long_are_refused_in_a_sentence(rng):
    with pytest.raises(DivergenceError, match="stopped being finite"):
        Stochastic(DoubleWell(), EulerMaruyama(), [100.0], 0.0, 1).states(rng, grid(2, 20, 0.1))
