import numpy as np
import pytest
import torch
from torch import nn

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders import TwoScaleGRUEncoder
from neuralsde.nn.encoders.two_scale_gru import interpolated

COUNTS = torch.poisson(torch.ones(3, 10, 5, dtype=torch.float64), generator=torch.Generator().manual_seed(0))
REST = torch.ones_like(COUNTS, dtype=torch.bool), 0.005 * torch.arange(14, dtype=torch.float64)[None]  # four forward bins


def encoder(**settings):
    torch.manual_seed(0)
    made = TwoScaleGRUEncoder(5, 7, 4, detail_size=3, n_bins=14, **settings).double().eval()
    nn.init.normal_(made.positions), nn.init.normal_(made.unobserved)
    return made


def stepped(gru, inputs):
    """States of a two-way GRU, one cell's step after the other."""
    ways = []
    for suffix, order in (("", 1), ("_reverse", -1)):
        cell = nn.GRUCell(gru.input_size, gru.hidden_size).double()
        cell.load_state_dict({name: getattr(gru, f"{name}_l0{suffix}") for name in dict(cell.named_parameters())})
        h, states = inputs.new_zeros(len(inputs), gru.hidden_size), []
        for bin in inputs.unbind(1)[::order]:
            h = cell(bin, h)
            states.append(h)
        ways.append(torch.stack(states[::order], 1))
    return torch.cat(ways, 2).detach().numpy()


def test_it_is_a_gru_over_means_interpolated_beside_one_over_bins():
    made = encoder()
    inputs = torch.cat([made.embed(COUNTS), made.unobserved.expand(3, 4, -1)], 1) + made.positions
    steps = torch.stack([inputs[:, first : first + 4].mean(1) for first in (0, 4, 8, 12)], 1)  # the last of two bins alone
    states, middles = stepped(made.slow, steps), np.array([1.5, 5.5, 9.5, 13.5])
    slow = np.array([[np.interp(np.arange(14), middles, channel) for channel in trial.T] for trial in states])
    expected = np.concatenate([slow.transpose(0, 2, 1), stepped(made.detail, inputs)], 2)
    np.testing.assert_allclose(made(COUNTS, *REST).detach().numpy(), expected, rtol=1e-9)
    assert made.output_size == expected.shape[2] == 20


@pytest.mark.parametrize(("steps", "bins"), [(3, 12), (3, 10), (1, 3)])
def test_interpolation_keeps_what_is_linear_between_the_middles(steps, bins):
    at = 4 * torch.arange(steps, dtype=torch.float64) + 1.5
    expected = torch.arange(bins, dtype=torch.float64).clamp(float(at[0]), float(at[-1]))
    torch.testing.assert_close(interpolated(at[None, :, None], 4, bins)[0, :, 0], expected)


def test_where_in_its_step_a_count_falls_is_told_by_the_recurrence_over_bins_alone():
    made, (early, late) = encoder(), (COUNTS.clone(), COUNTS.clone())
    early[:, 4] += 1
    late[:, 7] += 1
    with torch.no_grad():
        apart = (made(early, *REST) - made(late, *REST)).abs().amax((0, 1))
    assert (apart[:14] < 1e-12).all()
    assert (apart[14:] > 1e-6).all()


@pytest.mark.parametrize("stride", [0, -4])
def test_an_impossible_stride_is_refused(stride):
    with pytest.raises(ConfigError, match=r"model.encoder.stride is .*whole number of at least 1"):
        encoder(stride=stride)
