"""The compiled loop beside torch's, in single precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from neuralsde.errors import DivergenceError
from neuralsde.inference.driven_sde import HeldPath
from neuralsde.kernels.build import SETTING, library
from neuralsde.kernels.euler import SOURCE, Net, Step, kernel_euler
from neuralsde.nn.mlp import LipSwish
from neuralsde.noise import FixedPath, Increments
from neuralsde.sde import (
    AbstractSDE,
    LangevinType,
    LinearNoise,
    NeuralAdditive,
    PublishedGeometric,
    PublishedLangevinType,
    PublishedLinearNoise,
)
from neuralsde.solvers import EulerMaruyama, integrate

TIMES = torch.tensor([0.0, 0.3, 1.0, 1.2])
EQUATIONS: dict[str, tuple[Callable[[], AbstractSDE], int]] = {  # and how many channels drive it
    "lsde": (lambda: PublishedLangevinType(4, 3, depth=1), 3),
    "lnsde": (lambda: PublishedLinearNoise(20, 17, depth=3), 17),
    "gsde": (lambda: PublishedGeometric(4, 3), 3),
    "gsde_of_the_paper": (lambda: PublishedGeometric(4, 3, gate="one_minus_sigmoid"), 3),
    "relu": (lambda: NeuralAdditive(5, 18, activation=nn.ReLU), 0),
    "tanh": (lambda: NeuralAdditive(5, 40, depth=2, activation=nn.Tanh), 0),
    "swish": (lambda: LangevinType(3, depth=2), 0),
    "driven": (lambda: LangevinType(3, control_size=2), 2),
    "linear": (lambda: LinearNoise(3, control_size=2), 2),
}


@pytest.fixture
def kernel():
    found = library(SOURCE)
    if found is None:
        pytest.skip("there is no C compiler")
    return found


def solved(sde: AbstractSDE, channels: int, rows: int, every: int) -> list[Tensor]:
    """The solution, and the gradients by start, noise, control path and all parameters."""
    torch.manual_seed(1)
    size = {17: 20, 0: 5 if isinstance(sde, NeuralAdditive) else 3, 2: 3, 3: 4}[channels]
    z0, control = torch.randn(rows, size, requires_grad=True), torch.randn(4, rows, channels, requires_grad=True)
    dt = (TIMES.diff() / every).repeat_interleave(every).view(-1, 1, 1)
    w = (0.3 * torch.randn(len(dt), rows, size)).requires_grad_()
    driven = sde.driven_by(HeldPath(TIMES.view(-1, 1, 1), control)) if channels else sde  # pyright: ignore
    z = integrate(driven, EulerMaruyama(), z0, TIMES, FixedPath(Increments(dt, w)), every)
    inputs = [z0, w, *([control] if channels else []), *sde.parameters()]
    return [z, *torch.autograd.grad((z * torch.linspace(-1, 1, z.numel()).view_as(z)).sum(), inputs)]


def largest_error(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Relative to the largest number of each tensor."""
    return max(float(((a - b).abs().max() / b.abs().max().clamp(min=1e-6)).detach()) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("name", EQUATIONS)
@pytest.mark.parametrize(("rows", "every", "threads"), [(37, 1, 1), (70, 3, 2)])
def test_the_compiled_loop_equals_that_in_torch(name, rows, every, threads, monkeypatch):
    """Solution and all gradients to rounding; in tiles that are not full, of widths that are no whole vectors."""
    make, channels = EQUATIONS[name]
    torch.manual_seed(0)
    sde, before = make(), torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        ours = solved(sde, channels, rows, every)
        assert all(torch.equal(a, b) for a, b in zip(ours, solved(sde, channels, rows, every), strict=True))
    finally:
        torch.set_num_threads(before)
    monkeypatch.setenv(SETTING, "0")
    theirs = solved(sde, channels, rows, every)
    assert 0 < largest_error(ours, theirs) < 2e-5
    with torch.no_grad():
        next(p for p in sde.parameters() if p.ndim == 2).mul_(1.01)
    assert largest_error(ours, solved(sde, channels, rows, every)) > 1e-4


def function_of(kernel, step: Step, x: Tensor) -> Tensor:
    """The step's activation: one step of length one from zero, of a net that reads `x` alone and passes it on."""
    rows, zeros = x.view(1, -1, 16), torch.zeros(16, 16)
    net = Net(zeros, None, rows, [(torch.eye(16), torch.zeros(16))])
    still = torch.zeros(rows.shape[1:])
    return kernel_euler(kernel, step, 1, still, torch.ones(1), still[None], torch.zeros(1, 16), None, net)[1].view(-1)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("relu", torch.relu), ("tanh", torch.tanh), ("lip_swish", LipSwish()), ("bounded", lambda x: x.relu().tanh())],
)
def test_functions_are_those_of_double_precision(kernel, name, reference):
    """Relative to the argument, where it is above one."""
    x = torch.cat([torch.linspace(-12, 12, 4096), torch.logspace(-8, 0, 496)])
    step = Step("relu", "bounded", "additive") if name == "bounded" else Step(name, "free", "additive")
    found, exact = function_of(kernel, step, x), reference(x.double())
    assert ((found - exact).abs() / x.abs().clamp(min=1)).max() < 4e-7
    assert (function_of(kernel, step, x + 1e-5) - exact).abs().max() > 4e-6


@pytest.mark.parametrize("name", ["relu", "tanh", "lip_swish"])
def test_what_is_not_finite_is_not_hidden(kernel, name):
    x = torch.tensor([float("nan"), float("inf"), *[0.5] * 14])
    found = function_of(kernel, Step(name, "free", "additive"), x)
    assert found.isnan().all()  # not a number times zero reaches the whole row


def test_divergence_is_reported_as_by_torch(monkeypatch):
    sde, said = NeuralAdditive(2, activation=nn.ReLU), []
    with torch.no_grad():
        for parameter in sde.drift_net.parameters():
            parameter.fill_(1e4)
    for setting in ("1", "0"):
        monkeypatch.setenv(SETTING, setting)
        path = FixedPath(Increments(torch.ones(20, 1, 1), torch.zeros(20, 3, 2)))
        with pytest.raises(DivergenceError) as caught:
            integrate(sde, EulerMaruyama(), torch.ones(3, 2), torch.arange(21.0), path)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "3 of 3 samples" in said[0]


def test_samples_that_share_a_control_path_along_one_of_two_axes_are_solved_as_step_by_step():
    torch.manual_seed(0)
    sde, z0, path = LangevinType(4, control_size=2), torch.randn(50, 3, 4), HeldPath(TIMES.view(-1, 1, 1), torch.randn(4, 3, 2))
    noise = FixedPath(Increments(TIMES.diff().view(-1, 1, 1, 1), 0.3 * torch.randn(3, 50, 3, 4)))
    with torch.no_grad():
        found, plain = (
            integrate(sde.driven_by(path), EulerMaruyama(), z0, TIMES, noise, fused=fused) for fused in (True, False)
        )
    torch.testing.assert_close(found, plain)


def test_steps_of_another_precision_are_read_as_such():
    torch.manual_seed(0)
    sde, z0, w = LangevinType(4), torch.randn(8, 4), 0.3 * torch.randn(3, 8, 4)
    times = TIMES.diff().view(-1, 1, 1)
    with torch.no_grad():
        found, plain = (
            integrate(sde, EulerMaruyama(), z0, TIMES, FixedPath(Increments(dt, w))) for dt in (times.double(), times)
        )
    torch.testing.assert_close(found, plain)


@pytest.mark.slow
@pytest.mark.usefixtures("kernel")
def test_gradients_keep_their_digits_over_many_steps():
    """20,000 steps against double precision; sums that are rounded once for each product are 4e-4 off."""
    torch.manual_seed(0)
    steps, sde, z0 = 20_000, NeuralAdditive(8, 32, activation=nn.Tanh), torch.randn(64, 8)
    path, times = (
        Increments(torch.full((steps, 1, 1), 1 / steps), torch.randn(steps, 64, 8) / steps**0.5),
        torch.tensor([0.0, 1.0]),
    )

    def gradients(dtype: torch.dtype) -> list[Tensor]:
        z = integrate(sde.to(dtype), EulerMaruyama(), z0.to(dtype), times, FixedPath(path.map(lambda x: x.to(dtype))), steps)
        return list(torch.autograd.grad(z[-1].square().mean(), list(sde.parameters())))

    exact = gradients(torch.float64)
    found = gradients(torch.float32)
    assert largest_error(found, exact) < 1e-4
    assert largest_error([x * 1.0002 for x in found], exact) > 1e-4
