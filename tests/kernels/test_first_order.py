import pytest
import torch
from torch import Tensor

from neuralsde.inference.full_marginals import Lost
from neuralsde.noise import FixedPath
from neuralsde.sde import NeuralAdditive, StratonovichForm
from neuralsde.solvers import EulerMaruyama, integrate, integrate_reversible
from tests.solvers.problems import DOUBLE, draw

TIMES = torch.linspace(0, 1, 5, dtype=DOUBLE)


def solved(how: str, z0: Tensor) -> Tensor:
    torch.manual_seed(0)
    path, sde = FixedPath(draw(4, (2, 3))), NeuralAdditive(3).double()
    if how == "reversible":
        return integrate_reversible(StratonovichForm(sde), z0, TIMES, path)
    return integrate(sde, EulerMaruyama(), z0, TIMES, path, checkpoint=how == "checkpoint", fused=how == "fused")


def second(value: Tensor, x: Tensor) -> Tensor:
    """Of the sum, whose incoming gradient is a constant; beside a term that can be differentiated again."""
    (gradient,) = torch.autograd.grad(value.sum() + x.square().sum(), x, create_graph=True)
    return torch.autograd.grad(gradient.sum(), x)[0]


@pytest.mark.parametrize("how", ["fused", "checkpoint", "reversible"])
def test_second_derivatives_of_a_path_are_right_or_refused(how):
    z0 = torch.ones(2, 3, dtype=DOUBLE, requires_grad=True)
    assert (second(solved("plain", z0), z0) - 2).abs().max() > 1e-4  # what would be lost
    with pytest.raises(RuntimeError, match="cannot be differentiated: solve by integrate"):
        second(solved(how, z0), z0)


def test_second_derivatives_of_a_full_covariance_are_refused():
    h = torch.eye(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated"):
        second(Lost.apply(h), h)
