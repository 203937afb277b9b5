"""Controlled equations against their closed form, and what has no prior."""

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.inference import ContextAlone, NeuralCDE


class Linear(torch.nn.Module):
    """f(z) dX = z A_c dX_c, whose solution along a straight line is a matrix exponential."""

    def __init__(self, matrices):
        super().__init__()
        self.matrices = matrices  # (control, state, state)

    def forward(self, z):
        return torch.einsum("csr,br->bsc", self.matrices, z).flatten(1)


def test_along_straight_pieces_it_is_a_product_of_matrix_exponentials():
    torch.manual_seed(0)
    cde = NeuralCDE(2, 3, hidden_size=4, method="dopri5").double()
    matrices = 0.5 * torch.randn(2, 3, 3, dtype=torch.float64)
    cde.field = Linear(matrices)
    path = torch.randn(4, 6, 2, dtype=torch.float64)
    times = torch.rand(4, 6, dtype=torch.float64).cumsum(1)
    states = cde(path, times, 6).states
    expected = [cde.start(path[:, 0])]
    for move in path.diff(dim=1).unbind(1):
        step = torch.linalg.matrix_exp(torch.einsum("bc,csr->bsr", move, matrices))
        expected.append((step @ expected[-1][..., None])[..., 0])
    torch.testing.assert_close(states, torch.stack(expected, 1), rtol=1e-5, atol=1e-6)
    # Times play no part, and where the path rests the state does.
    torch.testing.assert_close(cde(path, 3 * times, 6).states, states)
    assert (cde(path[:, :1].expand(-1, 6, -1), times, 6).states.diff(dim=1) == 0).all()


def test_methods_that_remember_earlier_steps_are_refused():
    with pytest.raises(ConfigError, match=r"model\.dynamics\.method is 'explicit_adams'; choose one of euler, midpoint"):
        NeuralCDE(2, 3, method="explicit_adams")


@pytest.mark.parametrize("process", [NeuralCDE(2, 3), ContextAlone(2)], ids=["neural_cde", "none"])
def test_without_a_prior_nothing_is_sampled_and_no_flow_analysed(process):
    with pytest.raises(ConfigError, match=r"has no prior to sample from: train a model=latent_sde"):
        process.from_prior(2, torch.arange(3.0)[None])
    with pytest.raises(ConfigError, match=r"depends on the observations that drive it"):
        process.equation()


def test_no_dynamics_hand_the_context_on_and_end_with_the_data():
    context = torch.randn(2, 5, 3)
    process = ContextAlone(3)
    assert process(context, torch.arange(5.0)[None], 5).states is context
    with pytest.raises(ConfigError, match=r"cannot go on beyond the data"):
        process.go_on(context[:, -1], torch.arange(3.0)[None])
