"""The fused loop of the published equations against the plain one, in double precision."""

import functools

import pytest
import torch
from torch import Tensor

from neuralsde.inference.driven_sde import HeldPath
from neuralsde.noise import FixedPath, Increments
from neuralsde.sde import AbstractPublishedStable, PublishedGeometric, PublishedLangevinType, PublishedLinearNoise
from neuralsde.solvers import EulerMaruyama, Heun, integrate
from neuralsde.solvers.fused_published import is_published
from neuralsde.solvers.integrate import time_grid
from tests.solvers.problems import DOUBLE

TIMES = torch.tensor([0.0, 0.3, 1.0, 2.2], dtype=DOUBLE)
FAMILIES = {
    "lsde": PublishedLangevinType,
    "lnsde": PublishedLinearNoise,
    "gsde": PublishedGeometric,
    "gsde_of_the_paper": functools.partial(PublishedGeometric, gate="one_minus_sigmoid"),
}


def solved(sde: AbstractPublishedStable, fused: bool, lead: tuple[int, ...], every: int) -> list[Tensor]:
    """The solution, and the gradients by start, control, noise and all parameters."""
    torch.manual_seed(1)
    z0, control = (
        torch.randn(*lead, 5, 4, dtype=DOUBLE, requires_grad=True),
        torch.randn(4, 5, 3, dtype=DOUBLE, requires_grad=True),
    )
    dt = time_grid(TIMES, z0, every).diff(dim=0)
    w = torch.randn(len(dt), *z0.shape, dtype=DOUBLE, requires_grad=True)
    driven = sde.driven_by(HeldPath(TIMES.view(-1, 1, 1), control))
    z = integrate(driven, EulerMaruyama(), z0, TIMES, FixedPath(Increments(dt, w)), every, fused=fused)
    weights = torch.linspace(-1, 1, z.numel(), dtype=DOUBLE).view_as(z)
    return [z, *torch.autograd.grad((z * weights).sum(), [z0, control, w, *sde.parameters()])]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("depth", "lead", "every"), [(1, (2,), 1), (3, (), 3)])
def test_the_fused_loop_equals_the_plain_one(family, depth, lead, every):
    """Solution and all gradients, with unequal steps."""
    torch.manual_seed(0)
    sde = FAMILIES[family](state_size=4, control_size=3, depth=depth).double()
    ours, plain = solved(sde, True, lead, every), solved(sde, False, lead, every)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    if sde.gate is not None:
        sde.gate = "tanh" if sde.gate == "one_minus_sigmoid" else "one_minus_sigmoid"
        assert all((a - b).abs().max() > 1e-3 for a, b in zip(solved(sde, True, lead, every)[:2], plain, strict=False))


def test_without_gradients_the_solution_is_the_same():
    sde, z0 = PublishedLinearNoise(4, 3).double(), torch.ones(5, 4, dtype=DOUBLE)
    driven = sde.driven_by(HeldPath(TIMES.view(-1, 1, 1), torch.ones(4, 5, 3, dtype=DOUBLE)))
    path = FixedPath(Increments(TIMES.diff().view(-1, 1, 1), torch.ones(3, 5, 4, dtype=DOUBLE)))
    with torch.no_grad():
        found = integrate(driven, EulerMaruyama(), z0, TIMES, path)
    torch.testing.assert_close(found, integrate(driven, EulerMaruyama(), z0, TIMES, path, fused=False).detach())


def test_what_does_not_fit_goes_through_the_plain_loop():
    sde, grid = PublishedLinearNoise(4, 3), TIMES.view(-1, 1, 1)
    assert is_published(sde, EulerMaruyama(), grid)
    assert not is_published(sde, Heun(), grid)
    assert not is_published(sde, EulerMaruyama(), grid.expand(-1, 5, 1))
