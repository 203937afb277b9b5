import functools
import math

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.noise import Brownian, FixedPath
from neuralsde.sde import OrnsteinUhlenbeck, UnderdampedLangevin
from neuralsde.solvers import ALIGN, BAOAB, OBABO, QUICSORT, Heun, ShOULD, integrate
from neuralsde.solvers.langevin_coefficients import LangevinCoefficients
from tests.solvers.problems import DOUBLE, draw, measured_order, rms, solve

SOLVERS = [BAOAB, OBABO, ALIGN, ShOULD, QUICSORT]


def harmonic(x):
    return (x**2).sum(-1)


def bistable(x):
    return (x**4 / 4 - x**2).sum(-1) + 0.1 * x.sum(-1)


def langevin(potential, **facts):
    return UnderdampedLangevin(potential, friction=1.3, mass=2.0, temperature=1.5, **facts)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("potential", [harmonic, pytest.param(bistable, marks=pytest.mark.slow)])
def test_strong_order(solver, potential):
    z0 = torch.tensor([[0.5, -0.3, 0.1, 0.0]], dtype=DOUBLE).expand(64, 4)
    order, _ = measured_order(langevin(potential), solver(), z0, levels=range(2, 6))
    theory = next(iter(solver.strong_order.values()))
    assert -0.2 < order - theory < 0.25


@functools.cache
def heun():
    """Equation, start, path and Heun's solution on it, which every solver is held to."""
    sde, z0 = langevin(bistable), torch.tensor([[0.5, -0.3]], dtype=DOUBLE).expand(64, 2)
    path = draw(256, (64, 1), horizon=2.0)
    return sde, z0, path, solve(sde, Heun(), z0, path, 256, 2.0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_limit_is_heun_s(solver):
    sde, z0, path, truth = heun()
    assert rms(solve(sde, solver(), z0, path, 128, 2.0) - truth) < 0.03


def test_the_limit_of_another_potential_is_another():
    """Control of the test above."""
    _, z0, path, truth = heun()
    assert rms(solve(langevin(harmonic), BAOAB(), z0, path, 128, 2.0) - truth) > 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_series_and_closed_forms_meet(dtype):
    """At small friction times step the closed forms lose digits and the series does not; both against 40 digits."""
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 40
    tolerance = 1e-5 if dtype is torch.float32 else 1e-11
    for alpha in (1e-4, 1e-2, 0.1, 0.49, 0.51, 1.0, 3.0):
        k = LangevinCoefficients(torch.tensor([1.0], dtype=dtype), torch.tensor([alpha], dtype=dtype))
        x = mpmath.mpf(k.alpha.double().item())
        e = mpmath.exp(-x)
        exact = {
            k.a(): 1 - e,
            k.b(): (e + x - 1) / x,
            k.b(0.5): (mpmath.exp(-x / 2) + x / 2 - 1) / x,
            k.c_h(): 6 * (e * (x + 2) + x - 2) / x**2,
        }
        for found, value in exact.items():
            assert abs(found.item() / float(value) - 1) < tolerance
        c_k = float(60 * (e * (x**2 + 6 * x + 12) - x**2 + 6 * x - 12) / x**3)
        assert abs(k.c_k().item() / c_k - 1) < (2e-2 if dtype is torch.float32 else 1e-10)


def test_series_is_the_published_one():
    x = torch.tensor([0.01], dtype=DOUBLE)
    k = LangevinCoefficients(torch.ones(1, dtype=DOUBLE), x)
    torch.testing.assert_close(k.c_h(), x - x**2 / 2 + 3 * x**3 / 20 - x**4 / 30 + x**5 / 168, rtol=1e-11, atol=0)
    torch.testing.assert_close(k.c_k(), -(x**2) + x**3 / 2 - x**4 / 7 + 5 * x**5 / 168, rtol=1e-8, atol=0)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_precision_and_one_friction_per_position(solver, dtype):
    sde = UnderdampedLangevin(harmonic, friction=torch.tensor([1.0, 2.0]), mass=torch.tensor([1.0, 0.5]))
    noise = Brownian(torch.Generator().manual_seed(0))
    path = integrate(sde, solver(), torch.zeros(3, 4, dtype=dtype), torch.linspace(0, 1, 5), noise)
    assert path.dtype == dtype
    assert path.shape == (5, 3, 4)


@pytest.mark.parametrize("solver", [BAOAB, OBABO, QUICSORT])
def test_long_runs_sample_the_boltzmann_law(solver):
    """Variances T / (2 k) of x and T / m of v for F = k x^2, within 5 % over 4,096 chains of 20 independent values: 4
    standard errors of a variance are 4 sqrt(2 / 80,000) = 2 %."""
    sde, z0 = langevin(harmonic), torch.zeros(4096, 2, dtype=DOUBLE)
    noise = Brownian(torch.Generator().manual_seed(0))
    path = integrate(sde, solver(), z0, torch.linspace(0, 40, 201, dtype=DOUBLE), noise)[50:]
    x, v = path.unbind(-1)
    assert math.isclose(x.var().item(), 0.75, rel_tol=0.05)
    assert math.isclose(v.var().item(), 0.75, rel_tol=0.05)


def test_a_control_enters_the_thermostat_with_the_stated_kl():
    """The KL per step is that of two Gaussians of equal variance, and the shift vanishes with the control."""

    class Controlled(UnderdampedLangevin):
        def control(self, t, z):
            return torch.full_like(z[..., :1], 0.7)

    h, gamma = 0.2, 1.3
    path = FixedPath(draw(1, (8, 1), horizon=h))
    times, z0 = torch.tensor([0.0, h], dtype=DOUBLE), torch.zeros(8, 2, dtype=DOUBLE)
    free, moved = (integrate(c(harmonic, gamma), BAOAB(), z0, times, path)[-1] for c in (UnderdampedLangevin, Controlled))
    # The shift of v right after the thermostat, seen in x, which then drifts for h / 2.
    shift = (moved - free)[0, 0] / (h / 2)
    kl = shift**2 / 2 / (1 - math.exp(-2 * gamma * h))
    expected = 0.7**2 / 2 * h * math.tanh(gamma * h / 2) / (gamma * h / 2)
    torch.testing.assert_close(kl.item(), expected, rtol=1e-10, atol=0)
    with pytest.raises(ConfigError, match="ALIGN ignores a control, but Controlled has one"):
        ALIGN().check(Controlled(harmonic))


def test_langevin_methods_refuse_other_equations():
    with pytest.raises(ConfigError, match="BAOAB solves equations of type UnderdampedLangevin, but OrnsteinUhlenbeck"):
        BAOAB().check(OrnsteinUhlenbeck(1.0, 0.0, 1.0))
