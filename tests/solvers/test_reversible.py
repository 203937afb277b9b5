import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.noise import FixedPath
from neuralsde.sde import LangevinType, Neural, NoiseType, OrnsteinUhlenbeck, StratonovichForm
from neuralsde.solvers import ReversibleHeun, integrate, integrate_reversible
from tests.solvers.problems import DOUBLE, NetSDE, draw


def test_forward_then_inverse_is_the_identity():
    sde, solver, path = NetSDE(NoiseType.GENERAL, m=5), ReversibleHeun(), draw(50, (8, 5))
    z0 = torch.randn(8, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    times = [torch.tensor([[n / 50]], dtype=DOUBLE) for n in range(50)]
    state = solver.init(sde, times[0], z0)
    for n in range(50):
        state = solver.step(sde, times[n], state, path[n])
    assert (state[0] - z0).abs().max() > 0.1
    for n in reversed(range(50)):
        state = solver.inverse(sde, times[n], state, path[n])
    for value in state:
        torch.testing.assert_close(value, z0, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("substeps", "stretch"), [(1, 256), (4, 256), (4, 7)])
def test_gradients_equal_those_of_plain_autograd(substeps, stretch, monkeypatch):
    monkeypatch.setattr("neuralsde.solvers.reversible.STRETCH", stretch)
    torch.manual_seed(0)
    sde, path = StratonovichForm(Neural(3).double()), FixedPath(draw(20, (4, 3)))
    times = torch.linspace(0, 1, 20 // substeps + 1, dtype=DOUBLE)
    results = []
    for solve in (
        lambda z0: integrate(sde, ReversibleHeun(), z0, times, path, substeps),
        lambda z0: integrate_reversible(sde, z0, times, path, substeps),
    ):
        z0 = torch.ones(4, 3, dtype=DOUBLE, requires_grad=True)
        z = solve(z0)
        weights = torch.linspace(-1, 1, z.numel(), dtype=DOUBLE).view_as(z)
        results.append((z, *torch.autograd.grad((z * weights).sum(), [z0, *sde.parameters()])))
    for plain, reversible in zip(*results, strict=True):
        torch.testing.assert_close(plain, reversible, rtol=1e-9, atol=1e-11)


def test_what_the_backward_pass_keeps_does_not_grow_with_the_steps():
    """Bytes saved for the backward pass, in tensors other than the noise: the same for 16 and 256 steps."""
    sde = OrnsteinUhlenbeck(torch.nn.Parameter(torch.ones(2, dtype=DOUBLE)), 0.0, 1.0)
    saved = []
    for steps in (16, 256):
        z0, path = torch.ones(4, 2, dtype=DOUBLE, requires_grad=True), FixedPath(draw(steps, (4, 2)))
        total = [0]

        def pack(x, total=total):
            total[0] += x.numel()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            z = integrate_reversible(sde, z0, torch.tensor([0.0, 1.0], dtype=DOUBLE), path, substeps=steps)
        z.sum().backward()
        saved.append(total[0])
    assert saved[0] == saved[1]


def test_a_tensor_read_from_outside_must_be_named():
    """Otherwise it would silently receive no gradient, as context did in torchsde's adjoint."""
    torch.manual_seed(0)
    encoder, observed = torch.nn.Linear(1, 2).double(), torch.ones(4, 1, dtype=DOUBLE)
    path, times = FixedPath(draw(5, (4, 3))), torch.linspace(0, 1, 6, dtype=DOUBLE)
    z0, family = torch.ones(4, 3, dtype=DOUBLE), LangevinType(3, control_size=2).double()

    def gradient(solve):
        context = encoder(observed)
        z = solve(family.driven_by(lambda t: context), context)
        return torch.autograd.grad(z.square().sum(), list(encoder.parameters()))

    with pytest.raises(ConfigError, match=r"reads a tensor of shape \(2,.*context"):
        gradient(lambda sde, context: integrate_reversible(sde, z0, times, path))
    named = gradient(lambda sde, context: integrate_reversible(sde, z0, times, path, context=[context]))
    plain = gradient(lambda sde, context: integrate(sde, ReversibleHeun(), z0, times, path))
    for a, b in zip(named, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
