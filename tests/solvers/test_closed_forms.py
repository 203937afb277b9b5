"""Solutions known in closed form, on the same path."""

import pytest
import torch
from scipy import stats

from neuralsde.noise import FixedPath, LevyArea
from neuralsde.sde import (
    CoxIngersollRoss,
    Geometric,
    GeometricBrownian,
    LinearNoise,
    OrnsteinUhlenbeck,
    StratonovichForm,
)
from neuralsde.solvers import (
    SEA,
    SRA1,
    DriftImplicitCIR,
    EulerMaruyama,
    Heun,
    LinearNoiseSplitting,
    LogEuler,
    Milstein,
    ShARK,
    SlowRK,
    SPaRK,
    StrangCIR,
    integrate,
)
from tests.solvers.problems import DOUBLE, draw, measured_order, rms, solve

GBM = GeometricBrownian(0.5, 0.8)


@pytest.mark.parametrize("solver", [EulerMaruyama, Milstein, Heun, SlowRK, SPaRK, LogEuler])
def test_geometric_brownian_motion_in_either_calculus(solver):
    """Relative error under 8 % in 512 steps, or 128 of a method of order one; the other calculus is 27 % or 38 % away."""
    sde = GBM if solver.calculus is GBM.calculus else StratonovichForm(GBM)
    z0, path = torch.ones(256, 1, dtype=DOUBLE), draw(512, (256, 1))
    exact = z0 * torch.exp(0.5 - 0.32 + 0.8 * path.w.sum(0))
    found = solve(sde, solver(), z0, path, 512 if solver is EulerMaruyama else 128)
    assert rms(found - exact) / rms(exact) < 0.08
    for other in (exact * torch.tensor(0.32).exp(), exact * torch.tensor(-0.32).exp()):
        assert rms(found - other) / rms(exact) > 0.2


def test_the_logarithmic_step_is_exact_for_constant_coefficients_and_keeps_every_sign():
    z0 = torch.tensor([[1.0, -1.0]], dtype=DOUBLE).expand(256, 2)
    path = draw(8, (256, 2))
    exact = z0 * torch.exp(0.5 - 0.32 + 0.8 * path.w.sum(0))
    torch.testing.assert_close(solve(GBM, LogEuler(), z0, path, 8), exact)

    torch.manual_seed(0)
    rough = FixedPath(draw(4, (256, 2), LevyArea.NONE, horizon=2.0))
    times = torch.linspace(0, 2, 5, dtype=DOUBLE)
    for sde in (Geometric(2).double(), GeometricBrownian(0.1, 1.5)):
        assert (integrate(sde, LogEuler(), z0, times, rough).sign() == z0.sign()).all()
    plain = integrate(GeometricBrownian(0.1, 1.5), EulerMaruyama(), z0, times, rough)
    assert (plain.sign() != z0.sign()).any()  # control: the plain step does not


@pytest.mark.parametrize(("family", "solver"), [(Geometric, LogEuler), (LinearNoise, LinearNoiseSplitting)])
def test_sign_keeping_steps_have_strong_order_one_on_neural_families(family, solver):
    torch.manual_seed(0)
    sde, z0 = family(2).double(), torch.ones(128, 2, dtype=DOUBLE)
    order, _ = measured_order(sde, solver(), z0, range(3, 8))
    assert abs(order - 1) < 0.3


@pytest.fixture(scope="module")
def long_path():
    return draw(256, (20_000, 1), LevyArea.SPACE_TIME, horizon=2.0)


@pytest.mark.parametrize("solver", [EulerMaruyama, SEA, SRA1, ShARK, Heun, SPaRK])
def test_law_of_the_ornstein_uhlenbeck_process(solver, long_path):
    """KS at p > .01 / 6 on 20,000 paths in 256 steps to t = 2, after whitening by the exact Gaussian law; a variance
    10 % too large is rejected."""
    sde, z0 = OrnsteinUhlenbeck(1.3, 0.4, 0.7), torch.full((20_000, 1), 2.0, dtype=DOUBLE)
    z = solve(sde, solver(), z0, long_path, 256, 2.0)
    decay = torch.exp(torch.tensor(-2.6, dtype=DOUBLE))
    sd = (0.49 / 2.6 * (1 - decay**2)).sqrt()
    white = ((z - 0.4 - decay * 1.6) / sd).flatten()
    assert stats.kstest(white, "norm").pvalue > 0.01 / 6
    assert stats.kstest(white * 1.1**0.5, "norm").pvalue < 0.01 / 6


def test_drift_implicit_cir_stays_positive_and_converges():
    """Strong order about 1 in the Feller regime; at sigma = 2.2 Euler goes below zero, the implicit step does not."""
    z0 = torch.ones(512, 1, dtype=DOUBLE)
    order, _ = measured_order(CoxIngersollRoss(1.0, 1.0, 0.8), DriftImplicitCIR(), z0, range(3, 8))
    assert abs(order - 1) < 0.25
    sde, path = CoxIngersollRoss(1.0, 1.0, 2.2), FixedPath(draw(64, (512, 1)))
    times = torch.linspace(0, 1, 65, dtype=DOUBLE)
    assert integrate(sde, DriftImplicitCIR(), z0, times, path).min() >= 0
    assert integrate(sde, EulerMaruyama(), z0, times, path).min() < 0


def test_strang_cir_has_its_order_and_the_limit_of_drift_implicit_cir():
    """Order 1.5 far from zero, where the drift-implicit method (control) has 1; at sigma = 1.5, never negative."""
    z0, sde = torch.ones(64, 1, dtype=DOUBLE), CoxIngersollRoss(1.0, 1.0, 0.4)
    orders = [measured_order(sde, solver, z0, range(2, 7))[0] for solver in (StrangCIR(), DriftImplicitCIR())]
    assert abs(orders[0] - 1.5) < 0.25
    assert orders[1] < 1.25
    path = draw(256, (64, 1))
    strang, implicit = (solve(sde, solver, z0, path, n) for solver, n in ((StrangCIR(), 16), (DriftImplicitCIR(), 256)))
    assert rms(strang - implicit) < 2e-3
    assert rms(solve(CoxIngersollRoss(1.0, 1.02, 0.4), StrangCIR(), z0, path, 16) - implicit) > 5e-3  # control
    assert solve(CoxIngersollRoss(1.0, 1.0, 1.5), StrangCIR(), z0, path, 16).min() >= 0


def test_drift_implicit_cir_has_the_right_mean():
    """E[z_t] = b + (z_0 - b) exp(-a t), within 4 standard errors plus .02 of bias, over 20,000 paths."""
    z0 = torch.full((20_000, 1), 2.0, dtype=DOUBLE)
    z = solve(CoxIngersollRoss(1.0, 1.0, 0.8), DriftImplicitCIR(), z0, draw(64, (20_000, 1), LevyArea.NONE), 64)
    assert abs(z.mean() - 1 - torch.exp(torch.tensor(-1.0))) < 4 * z.std() / 20_000**0.5 + 0.02
