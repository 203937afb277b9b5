"""Chains of affine steps, and paths of oscillators that are found by one, beside those that are followed step by step."""

from functools import partial

import pytest
import torch
from torch import Tensor

from neuralsde.inference import LangevinPull, LatentSDE
from neuralsde.inference.affine_chain import affine_chain
from neuralsde.inference.steering import Solved
from neuralsde.nn.potentials import CoupledOscillators, Quadratic
from neuralsde.sde import LearnedLangevin
from neuralsde.solvers import BAOAB, OBABO


@pytest.mark.parametrize("shared", [False, True])
def test_chain_and_its_gradients_are_those_of_its_steps(shared):
    torch.manual_seed(0)
    start, offsets = torch.randn(3, 2, 4).double().requires_grad_(), torch.randn(7, 3, 2, 4).double().requires_grad_()
    matrices = torch.randn(7, 1 if shared else 3, 2, 2, 4).double().requires_grad_()
    z = [start]
    for matrix, offset in zip(matrices.expand(-1, 3, -1, -1, -1), offsets, strict=True):
        z.append(torch.einsum("bijm,bjm->bim", matrix, z[-1]) + offset)
    exact, found, weights = torch.stack(z), affine_chain(start, matrices, offsets), torch.randn(8, 3, 2, 4).double()
    torch.testing.assert_close(found, exact)
    inputs = start, matrices, offsets
    for ours, theirs in zip(*(torch.autograd.grad((weights * x).sum(), inputs) for x in (found, exact)), strict=True):
        torch.testing.assert_close(ours, theirs)
    turned = affine_chain(start, matrices.transpose(2, 3), offsets)  # the matrix acts on columns
    assert not torch.allclose(turned, exact)


def test_chain_is_differentiable_again_and_under_transforms():
    torch.manual_seed(0)
    start, offsets = torch.randn(2, 2, 3).double().requires_grad_(), torch.randn(4, 2, 2, 3).double().requires_grad_()
    matrices = torch.randn(4, 1, 2, 2, 3).double().requires_grad_()
    inputs = start, matrices, offsets
    checks = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(affine_chain, inputs, **checks)  # pyright: ignore[reportArgumentType]
    assert torch.autograd.gradgradcheck(affine_chain, inputs, check_fwd_over_rev=True)
    several = torch.stack([start, 2 * start])
    each = torch.func.vmap(affine_chain, (0, None, None))(several, matrices, offsets)
    torch.testing.assert_close(each, torch.stack([affine_chain(one, matrices, offsets) for one in several]))


def process(potential=Quadratic, solver=BAOAB, substeps: int = 1, control=LangevinPull) -> LatentSDE:
    """Eight oscillators under a pull whose gains differ by bin and trial."""
    torch.manual_seed(1)
    found = LatentSDE(
        latent_size=16,
        sde=partial(LearnedLangevin, potential=potential, friction=2.0, frequency=(0.4, 3.0), step=0.02),
        solver=solver(),
        control=control,
        context_size=5,
        duration_s=1.0,
        substeps=substeps,
        steer_forward=True,
    ).double()
    for linear in (found.control.gains, found.control.scale):
        torch.nn.init.normal_(linear.weight)
    return found


def followed(dynamics: LatentSDE, times: Tensor, samples: int = 1) -> list[Tensor]:
    """States, the path's divergence, and the gradients of the context and of all parameters."""
    torch.manual_seed(2)
    context = torch.randn(3 * samples, times.shape[1], 5).double().requires_grad_()
    torch.manual_seed(3)
    path = dynamics(context, times, times.shape[1])
    total = (path.states * torch.linspace(-1, 1, path.states.numel()).view_as(path.states)).sum() + path.kl["kl_path"].sum()
    inputs = [context, *(p for p in dynamics.parameters() if p.requires_grad)]
    return [path.states, path.kl["kl_path"], *torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)]


@pytest.mark.parametrize("substeps", [1, 3])
@pytest.mark.parametrize("irregular", [False, True])
def test_a_path_found_at_once_is_the_one_followed_step_by_step(substeps, irregular, monkeypatch):
    times = torch.arange(9).double()[None] * 0.02
    if irregular:
        times = (0.005 + 0.015 * torch.rand(3, 9, dtype=torch.float64)).cumsum(1)
    dynamics, asked = process(substeps=substeps), []
    at_once = Solved.steer_at_once

    def watched(*given):
        asked.append(at_once(*given))
        return asked[-1]

    monkeypatch.setattr(Solved, "steer_at_once", watched)
    found = followed(dynamics, times)
    assert asked[-1] is not None
    monkeypatch.setattr(Solved, "steer_at_once", lambda *_: None)
    exact = followed(dynamics, times)
    for ours, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
    with torch.no_grad():
        dynamics.control.gains.bias[0] += 0.1
    assert (followed(dynamics, times)[0] - found[0]).abs().max() > 1e-5


def along(cost, context):
    """The derivative of `cost` in the direction of the context, forwards."""
    return torch.func.jvp(cost, (context,), (context,))[1]


def twice(cost, context):
    """The gradient of a gradient's square."""
    return torch.func.grad(lambda c: torch.func.grad(cost)(c).square().sum())(context)


def backwards_and_forwards(cost, context):
    """What `torch.autograd.functional` makes of two backward passes."""
    return torch.autograd.functional.jvp(cost, context, context)[1]


@pytest.mark.parametrize("derivative", [along, twice, backwards_and_forwards])
def test_derivatives_of_a_path_found_at_once_are_those_of_its_steps(derivative, monkeypatch):
    dynamics, times, context = process(), torch.arange(4).double()[None] * 0.02, torch.randn(2, 4, 5).double()

    def cost(context: Tensor) -> Tensor:
        torch.manual_seed(3)
        path = dynamics(context, times, 4)
        return path.states.square().sum() + path.kl["kl_path"].sum()

    found = derivative(cost, context)
    monkeypatch.setattr(Solved, "steer_at_once", lambda *_: None)
    torch.testing.assert_close(found, derivative(cost, context), rtol=1e-8, atol=1e-10)
    assert found.abs().max() > 1e-3


class Stiffening(Quadratic):
    """A subclass whose force is not linear."""

    def gradient(self, x):
        return x + x**3


class Saturating(LangevinPull):
    """A subclass that is not affine."""

    def forward(self, y, memory, *features):
        return super().forward(y, memory, *features).tanh()


@pytest.mark.parametrize(
    "settings",
    [{"potential": CoupledOscillators}, {"potential": Stiffening}, {"control": Saturating}, {"solver": OBABO}],
)
def test_other_equations_are_followed_step_by_step(settings, monkeypatch):
    at_once, asked = Solved.steer_at_once, []
    monkeypatch.setattr(Solved, "steer_at_once", lambda *given: asked.append(at_once(*given)))
    followed(process(**settings), torch.arange(5).double()[None] * 0.02)
    assert asked == [None]
