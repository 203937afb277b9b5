"""The recurrence by its compiled loop, beside torch's own in double precision."""

import copy

import pytest
import torch
from torch import Tensor, nn

from neuralsde.kernels.build import SETTING, library
from neuralsde.kernels.gru import SOURCE, fits
from neuralsde.nn.recurrence import GRU


@pytest.fixture(autouse=True)
def _kernel():
    if library(SOURCE) is None:
        pytest.skip("there is no C compiler")


def pass_through(gru: nn.GRU, x: Tensor) -> list[Tensor]:
    """States, last states, and the gradients of the input and of all weights, of a sum that weighs each state otherwise."""
    x = x.clone().requires_grad_()
    states, last = gru(x)
    weights = torch.linspace(-1, 1, states.numel(), dtype=x.dtype).view_as(states)
    gradients = torch.autograd.grad((weights * states).sum() + last.square().sum(), [x, *gru.parameters()])
    return [states, last, *gradients]


@pytest.mark.parametrize(
    ("batch", "steps", "units", "both"), [(9, 12, 48, True), (3, 1, 16, True), (1, 30, 96, False), (16, 7, 32, True)]
)
def test_states_and_gradients_are_torch_s(batch, steps, units, both):
    torch.manual_seed(batch)
    ours = GRU(5, units, batch_first=True, bidirectional=both)
    theirs = nn.GRU(5, units, batch_first=True, bidirectional=both).double()
    theirs.load_state_dict(ours.state_dict())  # the same parameters by the same names
    x = 3 * torch.randn(batch, steps, 5)
    for found, exact in zip(pass_through(ours, x), pass_through(theirs, x.double()), strict=True):
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-5 * exact.abs().max().item())
    moved = copy.deepcopy(ours)
    moved.bias_hh_l0.data[-1] += 0.1  # of one unit's new gate, which the reset gate weighs
    assert not torch.allclose(pass_through(moved, x)[0].double(), pass_through(theirs, x.double())[0], atol=1e-3)


def test_large_and_unknown_inputs_pass_as_in_torch():
    torch.manual_seed(0)
    ours = GRU(4, 16, batch_first=True)
    theirs = nn.GRU(4, 16, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 6, 4)
    x[0] *= 1e4
    x[1, 3, 2] = torch.nan
    x[2, 4] = torch.inf
    found, exact = ours(x)[0], theirs(x)[0]
    assert exact[1, 3:].isnan().all()
    assert torch.equal(found.isnan(), exact.isnan())
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5, equal_nan=True)


def twice(gru: nn.GRU, x: Tensor) -> list[Tensor]:
    """Gradients of a gradient's square, of the input and of all weights."""
    x = x.clone().requires_grad_()
    gradient = torch.autograd.grad(gru(x)[0].square().sum(), x, create_graph=True)[0]
    return [gradient, *torch.autograd.grad(gradient.square().sum(), [x, *gru.parameters()], allow_unused=True)]


def hessian(gru: nn.GRU, x: Tensor) -> list[Tensor]:
    return [torch.autograd.functional.hessian(lambda y: gru(y)[0].sum(), x)]


def many_at_once(gru: nn.GRU, x: Tensor) -> list[Tensor]:
    return [torch.autograd.functional.jacobian(lambda y: gru(y)[0].sum(1), x, vectorize=True)]


@pytest.mark.parametrize("derivatives", [twice, hessian, many_at_once])
def test_further_derivatives_are_torch_s(derivatives):
    torch.manual_seed(0)
    ours, x = GRU(3, 16, batch_first=True, bidirectional=True), torch.randn(2, 3, 3)
    theirs = nn.GRU(3, 16, batch_first=True, bidirectional=True).double()
    theirs.load_state_dict(ours.state_dict())
    for found, exact in zip(derivatives(ours, x), derivatives(theirs, x.double()), strict=True):
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-5 * exact.abs().max().item())
        assert exact.abs().max() > 1e-3


def test_frozen_weights_are_left_out_of_further_derivatives():
    gru, x = GRU(3, 16, batch_first=True).requires_grad_(False), torch.randn(2, 3, 3).requires_grad_()
    gradient = torch.autograd.grad(gru(x)[0].square().sum(), x, create_graph=True)[0]
    gradient.square().sum().backward()
    assert x.grad is not None
    assert all(weight.grad is None for weight in gru.parameters())


def test_a_packed_sequence_is_left_to_torch():
    gru, x = GRU(3, 16, batch_first=True), torch.randn(2, 5, 3)
    packed = nn.utils.rnn.pack_padded_sequence(x, [5, 2], batch_first=True)
    last = gru(packed)[1][0]
    torch.testing.assert_close(last, torch.stack([gru(x)[0][0, 4], gru(x)[0][1, 1]]))


def test_number_of_threads_changes_nothing():
    torch.manual_seed(0)
    gru, x, before = GRU(5, 32, batch_first=True, bidirectional=True), torch.randn(21, 6, 5), torch.get_num_threads()
    try:
        torch.set_num_threads(6)
        several = gru(x)[0], torch.autograd.grad(gru(x)[0].square().sum(), gru.weight_ih_l0)[0]
        torch.set_num_threads(1)
        assert torch.equal(gru(x)[0], several[0])
        torch.testing.assert_close(torch.autograd.grad(gru(x)[0].square().sum(), gru.weight_ih_l0)[0], several[1])
    finally:
        torch.set_num_threads(before)


def test_what_does_not_fit_is_left_to_torch(monkeypatch):
    x = torch.randn(2, 5, 3)
    assert fits(16, x)
    assert not fits(12, x)
    assert not fits(16, x.double())
    assert not fits(16, x[:0])
    monkeypatch.setenv(SETTING, "0")
    assert not fits(16, x)
    monkeypatch.delenv(SETTING)
    for several in (GRU(3, 16, 2, batch_first=True), GRU(3, 12, batch_first=True, bidirectional=True)):
        torch.testing.assert_close(several(x)[0], nn.GRU.forward(several, x)[0])
