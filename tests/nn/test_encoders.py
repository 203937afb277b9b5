import pytest
import torch
from torch import nn

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders import GRUEncoder, ReleasedGRUEncoder


def released(**switches):
    torch.manual_seed(0)
    return ReleasedGRUEncoder(5, 7, **switches).double()


COUNTS = torch.poisson(torch.ones(3, 6, 5, dtype=torch.float64), generator=torch.Generator().manual_seed(0))
REST = torch.ones_like(COUNTS, dtype=torch.bool), 0.02 * torch.arange(8, dtype=torch.float64)[None]  # two forward bins


def changed_bins(encoder, changed_input):
    """Bins of the context that move when one observed bin does."""
    other = COUNTS.clone()
    other[:, changed_input] += 1
    with torch.no_grad():
        difference = (encoder(COUNTS, *REST) - encoder(other, *REST)).abs().amax((0, 2))
    return difference.nonzero().flatten().tolist()


def test_lagged_encoder_sees_a_bin_one_bin_later():
    assert changed_bins(released().eval(), 5) == [6, 7]  # the last of 6 observed bins reaches no observed bin
    assert changed_bins(released().eval(), 3) == [4, 5, 6, 7]


def test_lagged_encoder_consumes_the_first_bin_twice():
    assert changed_bins(released().eval(), 0) == list(range(8))


def test_current_encoder_sees_a_bin_in_that_bin():
    assert changed_bins(released(encoder_input="current").eval(), 3) == [3, 4, 5, 6, 7]


def test_bidirectional_encoder_sees_all_bins_everywhere():
    torch.manual_seed(0)
    assert changed_bins(GRUEncoder(5, 7, 4).double().eval(), 3) == list(range(8))


def test_stepped_recurrence_is_a_gru_cell_with_its_dropout_fed_back():
    encoder = released(dropout=0.5).train()
    cell = nn.GRUCell(5, 7).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in encoder.gru.state_dict().items()})
    torch.manual_seed(1)
    context = encoder(COUNTS, *REST)
    torch.manual_seed(1)
    keep = encoder.dropout(torch.ones(8, 3, 7, dtype=torch.float64))
    h = torch.zeros(3, 7, dtype=torch.float64)
    for bin in range(8):
        h = cell(COUNTS[:, min(max(bin - 1, 0), 5)], h) * keep[bin]
        torch.testing.assert_close(context[:, bin], h)


def test_fused_and_stepped_recurrence_agree_without_dropout():
    stepped, fused = released(dropout=0.3).train(), released(dropout=0.3).eval()
    stepped.dropout.p = 0.0
    torch.testing.assert_close(stepped(COUNTS, *REST), fused(COUNTS, *REST))


def test_dropout_on_the_output_leaves_the_recurrence_alone():
    encoder = released(dropout=0.5, recurrent_dropout="output_only").train()
    torch.manual_seed(0)
    context, clean = encoder(COUNTS, *REST), encoder.eval()(COUNTS, *REST)
    kept = context != 0
    assert 0.2 < kept.double().mean() < 0.8
    torch.testing.assert_close(context[kept], 2 * clean[kept])


@pytest.mark.parametrize("switch", ["encoder_input", "recurrent_dropout"])
def test_unknown_switch_lists_the_choices(switch):
    with pytest.raises(ConfigError, match=f"{switch} is 'no'; choose"):
        released(**{switch: "no"})
