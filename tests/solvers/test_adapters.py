import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.noise import FixedPath
from neuralsde.sde import GeometricBrownian, ItoForm, NoiseType, OrnsteinUhlenbeck, StratonovichForm
from neuralsde.solvers import SRA1, EulerMaruyama, Heun, Milstein, ReversibleHeun, integrate
from neuralsde.solvers.adapters import PathOnGrid, odeint, sdeint
from tests.solvers.problems import DOUBLE, NetSDE, draw

TIMES = torch.linspace(0, 1, 5, dtype=DOUBLE)
GBM, OU = GeometricBrownian(0.5, 0.8), OrnsteinUhlenbeck(1.0, 0.5, 0.3)


class DoubleNet(NetSDE):
    """Torchsde's form is built on single-precision zeros first."""

    def inputs(self, t, z):
        return super().inputs(t, z).double()


@pytest.mark.parametrize(
    ("sde", "solver", "method"),
    [
        (GBM, EulerMaruyama(), "euler"),
        (GBM, Milstein(), "milstein"),
        (OU, EulerMaruyama(), "euler"),
        (StratonovichForm(GBM), Heun(), "heun"),
        (DoubleNet(NoiseType.GENERAL, m=2), Heun(), "heun"),
        (DoubleNet(NoiseType.SCALAR, m=1), ReversibleHeun(), "reversible_heun"),
        (ItoForm(DoubleNet(NoiseType.GENERAL, m=2)), EulerMaruyama(), "euler"),
    ],
)
def test_torchsde_takes_the_same_steps_on_the_same_path(sde, solver, method):
    path = draw(20, (4, sde.noise_size(3)))
    z0 = torch.full((4, 3), 0.7, dtype=DOUBLE)
    ours = integrate(sde, solver, z0, TIMES, FixedPath(path), substeps=5)
    torch.testing.assert_close(sdeint(sde, z0, TIMES, path, method), ours, rtol=1e-9, atol=1e-9)


def test_torchsde_reads_the_areas_too():
    """Its SRK for additive noise is Rößler's SRA1 in other constants: same order, so 1e-3 apart at 20 steps."""
    path, z0 = draw(20, (4, 3)), torch.full((4, 3), 0.7, dtype=DOUBLE)
    ours = integrate(OU, SRA1(), z0, TIMES, FixedPath(path), substeps=5)
    torch.testing.assert_close(sdeint(OU, z0, TIMES, path, "srk"), ours, rtol=0, atol=1e-3)


def test_the_adjoint_runs_backwards_on_the_same_path():
    mu = torch.nn.Parameter(torch.tensor([0.5, 0.4, 0.3], dtype=DOUBLE))
    sde, path, z0 = StratonovichForm(GeometricBrownian(mu, 0.2)), draw(100, (8, 3)), torch.ones(8, 3, dtype=DOUBLE)
    times = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    adjoint = sdeint(sde, z0, times, path, "midpoint", adjoint=True, adjoint_method="midpoint")[-1]
    ours = integrate(sde, Heun(), z0, times, FixedPath(path), substeps=100)[-1]
    found, exact = (torch.autograd.grad(z.sum(), mu)[0] for z in (adjoint, ours))
    torch.testing.assert_close(found, exact, rtol=2e-3, atol=0)


def test_the_drift_alone_through_torchdiffeq():
    z = odeint(OU, torch.zeros(2, 1, dtype=DOUBLE), TIMES, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(z[:, 0, 0], 0.5 * (1 - torch.exp(-TIMES)), rtol=1e-7, atol=1e-8)


def test_times_off_the_grid_and_missing_areas_are_refused():
    bm = PathOnGrid(draw(4, (2, 1)), torch.linspace(0, 1, 5))
    assert bm(0.25).shape == (2, 1)
    with pytest.raises(ConfigError, match=r"time 0.3, which is not among the 5"):
        bm(0.0, 0.3)
    with pytest.raises(ConfigError, match="no space-space"):
        bm(0.0, 0.5, return_A=True)
