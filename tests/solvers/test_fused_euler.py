import time

import pytest
import torch

from neuralsde.noise import Brownian, FixedPath, LevyArea
from neuralsde.sde import LangevinType, LinearNoise, NeuralAdditive, OrnsteinUhlenbeck
from neuralsde.solvers import EulerMaruyama, Heun, integrate
from neuralsde.solvers.fused_euler import fusable
from tests.solvers.problems import DOUBLE, draw

GRID = torch.linspace(0, 1, 5, dtype=DOUBLE)


def equations():
    torch.manual_seed(0)
    path = torch.nn.Linear(1, 2).double()
    return {
        "additive": NeuralAdditive(3).double(),
        "deep": NeuralAdditive(3, 7, depth=3, activation=torch.nn.Tanh).double(),
        "langevin": LangevinType(3, depth=2).double(),
        "linear": LinearNoise(3).double(),
        "driven": LinearNoise(3, control_size=2).double().driven_by(path),
    }


@pytest.mark.parametrize("name", equations())
@pytest.mark.parametrize("batch", [(4,), (2, 3)])
def test_the_fused_loop_equals_the_plain_one(name, batch):
    """Solution and all gradients, with unequal steps, output at every third step."""
    sde = equations()[name]
    times = torch.tensor([0.0, 0.3, 1.0], dtype=DOUBLE)
    path = draw(6, (*batch, 3), LevyArea.NONE)
    path = path.__class__(torch.tensor([0.1] * 3 + [0.7 / 3] * 3, dtype=DOUBLE).view(6, *[1] * (len(batch) + 1)), path.w)
    results = []
    for fused in (True, False):
        z0 = torch.ones(*batch, 3, dtype=DOUBLE, requires_grad=True)
        z = integrate(sde, EulerMaruyama(), z0, times, FixedPath(path), substeps=3, fused=fused)
        assert ("FusedEuler" in str(_ancestors(z))) == fused
        weights = torch.linspace(-1, 1, z.numel(), dtype=DOUBLE).view_as(z)
        found = torch.autograd.grad((z * weights).sum(), [z0, *sde.parameters()], allow_unused=True)
        results.append((z, *found))
    for a, b in zip(*results, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def _ancestors(z, depth=4):
    names, level = [], [z.grad_fn]
    for _ in range(depth):
        names += [node.name() for node in level]
        level = [parent for node in level for parent, _ in node.next_functions if parent is not None]
    return names


def test_a_control_path_receives_its_gradient():
    """What the offset reads, such as an encoder's output, is differentiated by ordinary autograd."""
    torch.manual_seed(0)
    sde, encoder = LangevinType(3, control_size=2).double(), torch.nn.Linear(1, 2).double()
    path, z0 = FixedPath(draw(4, (4, 3), LevyArea.NONE)), torch.ones(4, 3, dtype=DOUBLE)
    found = []
    for fused in (True, False):
        z = integrate(sde.driven_by(encoder), EulerMaruyama(), z0, GRID, path, fused=fused)
        found.append(torch.autograd.grad(z.square().sum(), list(encoder.parameters())))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_what_does_not_fit_goes_through_the_plain_loop():
    grid, z0, sde = GRID.view(-1, 1, 1), torch.ones(3, 2), NeuralAdditive(2)
    assert fusable(sde, EulerMaruyama(), z0, grid)
    assert not fusable(sde, Heun(), z0, grid)
    assert not fusable(NeuralAdditive(2, depth=0), EulerMaruyama(), z0, grid)
    assert not fusable(OrnsteinUhlenbeck(1.0, 0.0, 1.0), EulerMaruyama(), z0, grid)
    assert not fusable(sde, EulerMaruyama(), z0, grid.expand(-1, 3, 1))
    with torch.no_grad():
        assert fusable(sde, EulerMaruyama(), z0, grid)
        assert not fusable(sde, EulerMaruyama(), z0, torch.linspace(0, 1, 400_000).view(-1, 1, 1))


@pytest.mark.slow
def test_a_training_step_is_no_slower_than_a_plain_loop():
    """The best of 15 interleaved runs, forward and backward, at 64x32 and 100 steps; usually half of the plain loop's."""
    torch.manual_seed(0)
    sde, z0 = NeuralAdditive(32, activation=torch.nn.Tanh), torch.randn(64, 32)
    sigma, dt = sde.log_sigma.exp().detach(), 0.01

    def fused():
        return integrate(sde, EulerMaruyama(), z0, torch.tensor([0.0, 1.0]), Brownian(), substeps=100)[-1]

    def plain():
        z = z0
        for n, w in enumerate(torch.randn(100, 64, 32) * dt**0.5):
            z = z + sde.drift_net(torch.cat([torch.full((64, 1), n * dt), z], -1)) * dt + sigma * w
        return z

    best = {fused: float("inf"), plain: float("inf")}
    for solve in [fused, plain] * 15:
        start = time.perf_counter()
        torch.autograd.grad(solve().square().mean(), list(sde.drift_net.parameters()))
        best[solve] = min(best[solve], time.perf_counter() - start)
    assert best[fused] < best[plain]
