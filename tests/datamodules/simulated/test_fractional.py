"""Fractional states have their exact covariances. Sample bounds are six standard errors; each has a control that must fail."""

import hydra
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from scipy.integrate import quad
from scipy.special import gamma, zeta

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.simulated import (
    FractionalOU,
    fractional_covariance,
    fractional_gaussian_noise,
    fractional_ou_covariance,
)
from neuralsde.datamodules.simulated.fractional import embedding_eigenvalues, noise_autocovariance, relaxed, variogram
from neuralsde.datamodules.simulated.module import irregular_times
from neuralsde.errors import ConfigError

N = 20_000
HURSTS = (0.1, 0.3, 0.5, 0.7, 0.9)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def grid(n, bins, width):
    return np.tile(np.arange(bins) * width, (n, 1))


def covariance_fits(x, covariance):
    """Whether the second moments of normal `x` (path, time) of mean 0 lie within six standard errors of `covariance`."""
    variance = np.diag(covariance)
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / len(x))
    return bool((np.abs(x.T @ x / len(x) - covariance) < 6 * error).all())


def trapezoid_matrix(times, theta):
    """$X = M B$ of the fractional Ornstein-Uhlenbeck process on a regular grid from 0 (spec fractional.md, section 10)."""
    lag, step = times[:, None] - times[None], times[1]
    weights = np.where(lag >= 0, np.exp(-theta * lag.clip(min=0)), 0.0) * step
    weights[:, 0] /= 2
    weights[np.diag_indices(len(times))] /= 2
    weights[0] = 0.0
    return np.eye(len(times)) - theta * weights


@pytest.mark.parametrize("hurst", HURSTS)
def test_motion_of_type_i_has_its_covariance(rng, hurst):
    """20 000 paths, 24 times: 300 second moments."""
    times = grid(N, 25, 0.1)
    x = FractionalOU(hurst, sigma=2.0).states(rng, times)[:, 1:, 0]
    exact = 4 * fractional_covariance(times[0, 1:], times[0, 1:], hurst)
    assert covariance_fits(x, exact)
    assert not covariance_fits(1.05 * x, exact)
    assert not covariance_fits(x, 4 * fractional_covariance(times[0, 1:], times[0, 1:], hurst + 0.05))


@pytest.mark.parametrize("hurst", HURSTS)
def test_the_fractional_process_has_its_covariance_and_mean(rng, hurst):
    times, theta, t = grid(N, 9, 0.25), 1.5, np.arange(1, 9) * 0.25
    x = FractionalOU(hurst, theta, 1.0, 2.0, 3.0).states(rng, times)[..., 0]
    assert (x[:, 0] == 3.0).all()
    exact = fractional_ou_covariance(t, hurst, theta, 2.0)
    mean = 1.0 + 2.0 * np.exp(-theta * t)
    assert covariance_fits(x[:, 1:] - mean, exact)
    assert not covariance_fits(x[:, 1:] - mean, fractional_ou_covariance(t, hurst, 1.2 * theta, 2.0))
    assert not covariance_fits(x[:, 1:] - mean, fractional_ou_covariance(t, hurst + 0.05, theta, 2.0))
    standard = np.abs(x[:, 1:].mean(0) - mean) / np.sqrt(np.diag(exact) / N)
    assert standard.max() < 6
    assert (np.abs(x[:, 1:].mean(0) - 3.0 * np.exp(-theta * t)) / np.sqrt(np.diag(exact) / N)).max() > 6  # mu forgotten


@pytest.mark.parametrize("theta", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("hurst", HURSTS)
def test_the_closed_form_is_the_limit_of_the_pathwise_formula(hurst, theta):
    """The error of the trapezoids' covariance falls with the step to the power 1 + 2H, or 2 if that is less."""

    def error(n, h=hurst):
        fine = np.linspace(0, 2, n + 1)
        matrix = trapezoid_matrix(fine, theta)
        covariance = matrix @ fractional_covariance(fine, fine, hurst) @ matrix.T
        every = slice(0, None, n // 10)
        return np.abs(covariance[every, every] - fractional_ou_covariance(fine[every], h, theta)).max()

    coarse, fine = error(100), error(400)
    assert fine < 3e-3 * min(theta, 1.0)
    assert fine < 4 ** -min(2, 1 + 2 * hurst) * 1.4 * coarse
    assert error(400, hurst + 0.01) > 3 * fine  # the control: another index


def test_the_closed_form_is_brownian_at_one_half_and_fractional_motion_without_reversion():
    t = np.array([2.0, 0.0, 0.1, 0.5, 30.0])
    ou = 1.5**2 / 4 * (np.exp(-2 * np.abs(t[:, None] - t)) - np.exp(-2 * (t[:, None] + t)))
    np.testing.assert_allclose(fractional_ou_covariance(t, 0.5, 2.0, 1.5), ou, atol=1e-13)
    assert np.abs(fractional_ou_covariance(t, 0.51, 2.0, 1.5) - ou).max() > 1e-3
    motion = 1.5**2 * fractional_covariance(t, t, 0.7)
    np.testing.assert_array_equal(fractional_ou_covariance(t, 0.7, 0.0, 1.5), motion)
    np.testing.assert_allclose(fractional_ou_covariance(t, 0.7, 1e-9, 1.5), motion, rtol=1e-7)


@pytest.mark.parametrize("hurst", [0.02, 0.3, 0.5, 0.8, 0.98])
def test_the_variogram_equals_its_formula_in_many_digits_on_every_side_of_its_bounds(hurst):
    mpmath = pytest.importorskip("mpmath")
    lags = np.array([1e-6, 1e-2, 0.499, 0.5, 0.51, 3.0, 12.0, 19.99, 20.0, 20.01, 100.0, 1e5])
    with mpmath.workdps(60):
        a, exact = 2 * mpmath.mpf(hurst), []
        for x in (2 * mpmath.mpf(lag) for lag in lags):
            grown = mpmath.exp(x) * mpmath.gammainc(a + 1, x) + mpmath.exp(-x) * mpmath.gamma(a + 1)
            convolved = x ** (a + 1) / (a + 1) * mpmath.hyp1f1(1, a + 2, -x)
            exact.append(float(2**-a * (mpmath.gamma(a + 1) / 2 - (grown + convolved - 2 * x**a) / 4)))
    np.testing.assert_allclose(variogram(lags, hurst, 2.0), exact, rtol=2e-11)


@pytest.mark.parametrize("hurst", HURSTS)
def test_the_trapezoids_error_is_the_stated_one(rng, hurst):
    """Against 16 times finer steps: 8 times of 1000 paths, of which each standard deviation is known to 2.2 %."""
    theta, step, parts = 1.5, 1 / 64, 16
    fine = np.linspace(0, 1, 64 * parts + 1)
    noise = FractionalOU(hurst).noise(rng, hurst, 1000, fine)
    wrong = relaxed(noise[:, ::parts], theta, step) - relaxed(noise, theta, fine[1])[:, ::parts]
    constant = np.sqrt(2 * gamma(2 * hurst + 1) * np.sin(np.pi * hurst) * zeta(2 * hurst + 1) / (2 * np.pi) ** (2 * hurst + 1))
    t = np.arange(8, 65, 8) * step
    stated = theta * constant * step ** (hurst + 0.5) * np.sqrt((1 - np.exp(-2 * theta * t)) / (2 * theta))
    ratio = wrong[:, 8::8].std(0) / stated
    # Its limit is approached from below where H is small, from above where it is large.
    assert np.abs(ratio - 1).max() < 0.2
    assert np.abs(ratio * step**0.1 - 1).min() > 0.2  # the control: another power of the step


@pytest.mark.parametrize("hurst", [0.2, 0.8])
def test_increments_are_stationary_for_type_i_alone(rng, hurst):
    """Those of 20 000 paths over each of 16 bins, and their product with the next."""

    def stationary(kind):
        steps = np.diff(FractionalOU(hurst, kind=kind).states(rng, grid(N, 17, 0.5))[..., 0], axis=1) / 0.5**hurst
        lag_one = 2 ** (2 * hurst - 1) - 1
        variance = np.abs((steps**2).mean(0) - 1) < 6 * np.sqrt(2 / N)
        product = np.abs((steps[:, 1:] * steps[:, :-1]).mean(0) - lag_one) < 6 * np.sqrt((1 + lag_one**2) / N)
        return variance.all() and product.all()

    assert stationary("type_i")
    assert not stationary("type_ii")


@pytest.mark.parametrize("hurst", [0.1, 0.3, 0.7, 0.9])
def test_motion_of_type_ii_has_its_covariance_and_unit_variance(rng, hurst):
    times = np.arange(1, 13) * 0.25
    exact = fractional_covariance(times, times, hurst, "type_ii")
    np.testing.assert_allclose(np.diag(exact), times ** (2 * hurst), rtol=1e-12)
    for s, t in ((0.25, 0.5), (0.5, 3.0), (2.75, 3.0)):  # the integral of its two kernels, the end's singularity as weight

        def kernel(u, t=t):
            return (t - u) ** (hurst - 0.5)

        integral = 2 * hurst * quad(kernel, 0, s, weight="alg", wvar=(0, hurst - 0.5))[0]
        np.testing.assert_allclose(fractional_covariance(np.array([t]), np.array([s]), hurst, "type_ii"), integral, rtol=1e-7)
    x = FractionalOU(hurst, kind="type_ii").states(rng, grid(N, 13, 0.25))[:, 1:, 0]
    assert covariance_fits(x, exact)
    assert not covariance_fits(1.05 * x, exact)
    assert not covariance_fits(x, fractional_covariance(times, times, hurst))


def test_both_kinds_are_brownian_motion_at_one_half():
    times = np.array([0.0, 0.3, 1.0, 2.5])
    for kind in ("type_i", "type_ii"):
        np.testing.assert_allclose(fractional_covariance(times, times, 0.5, kind), np.minimum.outer(times, times), atol=1e-15)


def test_a_process_of_type_ii_is_the_same_functional_of_its_noise(rng):
    times, t = grid(N, 5, 0.4), np.linspace(0, 1.6, 65)
    matrix = trapezoid_matrix(t, 2.0)
    exact = (matrix @ fractional_covariance(t, t, 0.7, "type_ii") @ matrix.T)[16::16, 16::16]
    x = FractionalOU(0.7, 2.0, kind="type_ii").states(rng, times)[:, 1:, 0]
    assert covariance_fits(x, exact)
    assert not covariance_fits(x, fractional_ou_covariance(t[16::16], 0.7, 2.0))


@pytest.mark.parametrize(("kind", "theta"), [("type_i", 2.0), ("type_i", 0.0), ("type_ii", 0.0)])
def test_at_irregular_times_every_trial_has_the_law_at_its_own(rng, kind, theta):
    times = irregular_times(rng, 600, 8, 0.3)
    x = FractionalOU(0.3, theta, kind=kind).states(rng, times)[:, 1:, 0]

    def fits(rows):
        """Whether the paths, white under the covariance at `rows`, have unit variance: 4200 values."""
        total = 0.0
        for path, row in zip(x, rows[:, 1:], strict=True):
            covariance = fractional_ou_covariance(row, 0.3, theta)
            if kind == "type_ii":
                covariance = fractional_covariance(row, row, 0.3, kind)
            total += path @ np.linalg.solve(covariance, path)
        return abs(total / x.size - 1) < 6 * np.sqrt(2 / x.size)

    assert fits(times)
    assert not fits(np.roll(times, 1, axis=0))


def test_the_generator_decides_and_without_reversion_substeps_do_not():
    def drawn(**settings):
        return FractionalOU([0.3, 0.8], **settings).states(np.random.default_rng(5), grid(4, 6, 0.1))

    x = drawn()
    assert x.shape == (4, 6, 2)
    np.testing.assert_array_equal(x, drawn(substeps=1))
    np.testing.assert_array_equal(x * [1.0, 2.0] + [0.0, 7.0], drawn(sigma=[1.0, 2.0], start=[0.0, 7.0]))
    assert not np.allclose(drawn(theta=1.0), drawn(theta=1.0, substeps=1))
    assert abs(np.corrcoef(*FractionalOU([0.6, 0.6]).states(np.random.default_rng(0), grid(N, 2, 1.0))[:, 1].T)[0, 1]) < 0.04


def test_noise_is_the_increments_of_the_motion(rng):
    steps = fractional_gaussian_noise(rng, 0.8, N, 6, 0.5)
    fine = np.arange(7) * 0.5
    covariance = np.diff(np.diff(fractional_covariance(fine, fine, 0.8), axis=0), axis=1)
    assert covariance_fits(steps, covariance)
    assert not covariance_fits(steps, covariance * 2**1.6)  # the step forgotten


@pytest.mark.parametrize("hurst", [1e-4, 0.1, 0.5, 0.9, 0.9999])
def test_the_embedding_has_no_negative_eigenvalue_and_keeps_the_autocovariance(hurst):
    for n in (1, 2, 7, 1000, 100_000):
        autocovariance = noise_autocovariance(hurst, n)
        eigenvalues = embedding_eigenvalues(autocovariance)
        np.testing.assert_allclose(np.fft.irfft(eigenvalues, 2 * n)[: n + 1], autocovariance, atol=1e-10)


def test_an_autocovariance_that_cannot_be_embedded_is_refused():
    with pytest.raises(ConfigError, match=r"cannot be embedded .* \(least eigenvalue -0\.8, greatest 2\.8\); give"):
        embedding_eigenvalues(np.array([1.0, 0.9, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"hurst": 1.0}, "data.system.hurst is 1.0; give a number above 0 and below 1"),
        ({"hurst": [0.5, 0.0]}, "data.system.hurst is 0.0; give"),
        ({"hurst": []}, r"data.system.hurst is \[\]; give one finite number"),
        ({"hurst": [0.3, 0.4], "theta": [1.0]}, "data.system.theta has 1 numbers, but data.system.hurst has 2; give one"),
        ({"hurst": 0.3, "theta": -1.0}, r"data.system.theta is \[-1.0\]; give one finite number of at least 0"),
        ({"hurst": 0.3, "sigma": -1.0}, r"data.system.sigma is \[-1.0\]"),
        ({"hurst": 0.3, "mu": float("nan")}, r"data.system.mu is \[nan\]"),
        ({"hurst": 0.3, "kind": "type_iii"}, "data.system.kind is 'type_iii'; give type_i or type_ii"),
        ({"hurst": 0.3, "substeps": 0}, "data.system.substeps is 0; give at least 1"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        FractionalOU(**settings)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda rng, t: FractionalOU(0.3, 1.0, kind="type_ii").states(rng, irregular_times(rng, 2, 4, 0.1)),
            r"type_ii with theta 1, whose law at irregular times is not known; give data.irregular=false",
        ),
        (lambda rng, t: fractional_gaussian_noise(rng, 1.2, 1, 5), "The Hurst index is 1.2; give a number above 0 and below 1"),
        (lambda rng, t: fractional_gaussian_noise(rng, 0.2, 0, 5), "Noise of 0 paths of 5 steps of 1.0 s"),
        (lambda rng, t: fractional_covariance(t, t - 1, 0.5), "Time 0 is -1.0; give finite times of at least 0 s"),
        (lambda rng, t: fractional_covariance(t, t, 0.5, "ii"), "kind of fractional Brownian motion is 'ii'; give type_i or"),
        (lambda rng, t: fractional_ou_covariance(t * np.nan, 0.5, 1.0), "Time 0 is nan"),
        (lambda rng, t: fractional_ou_covariance(t, 0.5, -1.0), "theta is -1.0; give a number of at least 0"),
    ],
)
def test_what_cannot_be_drawn_or_computed_is_refused_in_a_sentence(rng, call, sentence):
    with pytest.raises(ConfigError, match=sentence):
        call(rng, np.linspace(0.0, 1.0, 4))


def test_the_configs_have_the_laws_that_they_state():
    """The paths of `fractional_brownian` at its last bin, and those of `fractional_ou`, with half of the bins hidden."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        configs = [
            compose("train", overrides=["run_dir=unused", f"data=fractional_{name}"]).data for name in ("brownian", "ou")
        ]
    brownian, ou = (hydra.utils.instantiate(config).data for config in configs)
    assert brownian.train.states.shape == (64, 256, 1)
    assert abs((brownian.train.states[:, -1] ** 2).mean() / 1.02**1.4 - 1) < 6 * np.sqrt(2 / 64)
    assert (np.isnan(ou.train.heldin[..., 0]).sum(1) == 25).all()
    t = np.arange(10, 60, 10) * 0.1
    assert covariance_fits(ou.train.states[:, 10::10, 0], fractional_ou_covariance(t, 0.3, 1.0))
    assert not covariance_fits(ou.train.states[:, 10::10, 0], fractional_ou_covariance(t, 0.3, 0.5))
