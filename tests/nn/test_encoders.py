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


@pytest.mark.parametrize(("direction", "changed"), [("forward", [3, 4, 5, 6, 7]), ("backward", [0, 1, 2, 3])])
def test_one_way_encoder_sees_one_way(direction, changed):
    torch.manual_seed(0)
    assert changed_bins(GRUEncoder(5, 7, 4, direction=direction).double().eval(), 3) == changed


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


def reading_gaps(**switches):
    torch.manual_seed(0)
    return GRUEncoder(5, 7, 4, read_gaps=True, **switches).double().eval()


def test_encoder_that_reads_gaps_is_its_formula():
    """Per bin W y + M seen + g step + b, with steps in units of the trial's mean step, through the same recurrence."""
    encoder = reading_gaps()
    seen = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    values = COUNTS * seen
    times = torch.rand(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).cumsum(1) + 5
    embedded = torch.zeros(3, 8, 4, dtype=torch.float64)
    for trial in range(3):
        mean_step = (times[trial, 7] - times[trial, 0]) / 7
        for bin in range(8):
            step = (times[trial, bin] - times[trial, bin - 1]) / mean_step if bin else 0.0
            embedded[trial, bin] = encoder.embed_step.weight[:, 0] * step + encoder.unobserved
            if bin < 6:
                read = encoder.embed(values[trial, bin]) + encoder.embed_seen.weight @ seen[trial, bin].double()
                embedded[trial, bin] += read - encoder.unobserved
    torch.testing.assert_close(encoder(values, seen, times), encoder.gru(embedded)[0])


def test_only_an_encoder_that_reads_gaps_tells_unseen_from_zero_and_times_apart():
    seen, times = REST
    fewer = seen.clone()
    fewer[:, 2] = False
    values = COUNTS * fewer
    uneven = times + 0.005 * (torch.arange(8) == 3)
    for encoder, tells in ((reading_gaps(), True), (GRUEncoder(5, 7, 4).double().eval(), False)):
        context = encoder(values, seen, times)
        assert torch.equal(context, encoder(values, fewer, times)) != tells
        assert torch.equal(context, encoder(values, seen, uneven)) != tells
        torch.testing.assert_close(encoder(values, seen, 1000 * times), context)  # no unit of time enters


def test_times_per_trial_equal_shared_ones():
    seen, times = REST
    torch.testing.assert_close(reading_gaps()(COUNTS, seen, times.expand(3, -1)), reading_gaps()(COUNTS, seen, times))


def test_trial_of_one_bin_has_no_steps():
    context = reading_gaps()(COUNTS[:, :1], REST[0][:, :1], REST[1][:, :1])
    assert context.isfinite().all()


def test_trial_of_another_length_than_the_position_code_is_refused():
    with pytest.raises(ConfigError, match=r"encoder.n_bins is 9.* but 8 bins arrived: set model.encoder.n_bins=null"):
        GRUEncoder(5, 7, 4, n_bins=9).double()(COUNTS, *REST)


def test_a_stride_is_the_recurrence_over_averaged_inputs():
    """8 bins in steps of 3, 3 and 2; the plain recurrence over bins is another (control)."""
    torch.manual_seed(0)
    strided, plain = (GRUEncoder(5, 7, 4, n_bins=8, stride=stride).double() for stride in (3, 1))
    nn.init.normal_(strided.positions), nn.init.normal_(strided.unobserved)
    plain.load_state_dict(strided.state_dict())
    inputs = torch.cat([strided.embed(COUNTS), strided.unobserved.expand(3, 2, -1)], 1) + strided.positions
    steps = torch.stack([inputs[:, first : first + 3].mean(1) for first in (0, 3, 6)], 1)
    expected = strided.gru(steps)[0][:, [0, 0, 0, 1, 1, 1, 2, 2]]
    torch.testing.assert_close(strided(COUNTS, *REST), expected)
    assert (plain(COUNTS, *REST) - expected).abs().max() > 0.01


@pytest.mark.parametrize("settings", [{"stride": 0}, {"stride": 2, "direction": "forward"}])
def test_an_impossible_stride_is_refused(settings):
    with pytest.raises(ConfigError, match=r"model.encoder.stride is \d with direction="):
        GRUEncoder(5, 7, 4, **settings)


@pytest.mark.parametrize("switch", ["encoder_input", "recurrent_dropout"])
def test_unknown_switch_lists_the_choices(switch):
    with pytest.raises(ConfigError, match=f"{switch} is 'no'; choose"):
        released(**{switch: "no"})
