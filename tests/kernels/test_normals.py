"""The compiled generator beside the one in torch's operations, and the law of its numbers."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from neuralsde.kernels.build import SETTING, library
from neuralsde.kernels.normals import FEWEST, SOURCE, draw_normals
from neuralsde.noise import Brownian
from neuralsde.noise.philox import counter_normals
from neuralsde.sde import DoubleWell
from neuralsde.solvers import EulerMaruyama, integrate

LIKE = torch.zeros(())


@pytest.fixture(autouse=True)
def _kernel():
    if library(SOURCE) is None:
        pytest.skip("there is no C compiler")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reference(count: int, seed: int) -> Tensor:
    """In double precision: blocks of 64 counters, of which the first number comes first."""
    counters, zero = torch.arange(-(-count // 256) * 64), torch.tensor(0)
    return torch.stack(counter_normals(counters, zero, zero, seed)).view(4, -1, 64).transpose(0, 1).flatten()[:count]


@pytest.mark.parametrize("shape", [(100, 50, 3), (4097,), (2, 2**15)])
def test_numbers_are_those_of_philox_and_box_muller(shape):
    """To single precision: near the mode, where the logarithm's argument is next to one, to 1e-4 rather than 1e-6."""
    seed = int(torch.randint(2**63 - 1, (), generator=seeded()))
    found, exact = draw_normals(shape, LIKE, seeded()).flatten().double(), reference(math.prod(shape), seed)
    assert (found - exact).abs().max() < 1e-4
    assert (found - exact).abs().median() < 1e-7
    assert (found - reference(math.prod(shape), seed + 1)).abs().median() > 0.1


def test_number_of_threads_changes_nothing():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        several = draw_normals((10_001,), LIKE, seeded())
        torch.set_num_threads(1)
        assert torch.equal(draw_normals((10_001,), LIKE, seeded()), several)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(7, 1000), (40, 7, 31), (5000, 1)])
def test_deviations_are_those_of_the_first_axis(shape):
    std = torch.linspace(0.1, 2, shape[0])
    scaled, plain = draw_normals(shape, LIKE, seeded(), std), draw_normals(shape, LIKE, seeded())
    torch.testing.assert_close(scaled, plain * std.view(-1, *[1] * (len(shape) - 1)), rtol=1e-6, atol=0)


def test_law():
    """KS at p > .001, tails and neighbours within four deviations, on 2^20 numbers; those scaled by 1.01 are rejected."""
    x = draw_normals((2**20,), LIKE, seeded(3)).double()
    assert stats.kstest(x, "norm").pvalue > 1e-3
    assert stats.kstest(1.01 * x, "norm").pvalue < 1e-6
    for far in (3, 4):
        expected = len(x) * 2 * stats.norm.sf(far)
        assert abs(float((x.abs() > far).sum()) - expected) < 4 * expected**0.5
    for lag in (1, 2, 63, 64, 65, 128, 192, 256):
        assert abs(float((x[lag:] * x[:-lag]).mean())) < 4 / len(x) ** 0.5
        assert abs(float(((x[lag:] ** 2 - 1) * (x[:-lag] ** 2 - 1)).mean())) < 4 * 2 / len(x) ** 0.5


def test_draws_follow_the_generator():
    torch.manual_seed(5)
    first, second = draw_normals((FEWEST,), LIKE), draw_normals((FEWEST,), LIKE)
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.1
    torch.manual_seed(5)
    assert torch.equal(draw_normals((FEWEST,), LIKE), first)
    draw_normals((FEWEST,), LIKE, seeded())
    assert torch.equal(draw_normals((FEWEST,), LIKE), second)


@pytest.mark.parametrize("like", [LIKE, LIKE.double()])
def test_elsewhere_numbers_are_those_of_torch(like, monkeypatch):
    if like.dtype == torch.float32:
        monkeypatch.setenv(SETTING, "0")
    std = torch.linspace(0.1, 2, 64)
    plain = torch.randn(64, FEWEST, generator=seeded(), dtype=like.dtype)
    assert torch.equal(draw_normals((64, FEWEST), like, seeded()), plain)
    assert torch.equal(draw_normals((64, FEWEST), like, seeded(), std), plain * std[:, None])


def test_the_default_precision_changes_nothing():
    before = torch.get_default_dtype()
    plain = draw_normals((FEWEST,), LIKE, seeded())
    try:
        torch.set_default_dtype(torch.float64)
        assert torch.equal(draw_normals((FEWEST,), LIKE, seeded()), plain)
    finally:
        torch.set_default_dtype(before)


def test_a_deviation_is_asked_for_each_entry():
    with pytest.raises(ValueError, match="There are 3 standard deviations for 30 entries along the first axis"):
        draw_normals((30, 3000), LIKE, None, torch.ones(3))


def test_a_solve_can_be_transformed(monkeypatch):
    """`torch.func.grad` of a solve with many normals, which torch draws then, is what `backward` gives for these."""
    sde, times = DoubleWell(), torch.tensor([0.0, 1.0])

    def spread(z0: Tensor) -> Tensor:
        return integrate(sde, EulerMaruyama(), z0, times, Brownian(seeded()), 40)[-1].square().sum()

    z0 = torch.linspace(-1, 1, 300).view(100, 3)
    found = torch.func.grad(spread)(z0)
    asked = z0.clone().requires_grad_()
    (drawn_otherwise,) = torch.autograd.grad(spread(asked), asked)
    monkeypatch.setenv(SETTING, "0")
    (slope,) = torch.autograd.grad(spread(asked), asked)
    torch.testing.assert_close(found, slope)
    assert (drawn_otherwise - slope).abs().max() > 0.1
