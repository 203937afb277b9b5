import pytest
import torch
from torch import nn

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders import LocalEncoder
from neuralsde.nn.local_context import Part, in_bins

BINS, OBSERVED = 50, 47
COUNTS = torch.poisson(torch.ones(4, OBSERVED, 5, dtype=torch.float64), generator=torch.Generator().manual_seed(0))
SEEN = torch.rand(COUNTS.shape, generator=torch.Generator().manual_seed(1)) < 0.7
TIMES = torch.rand(4, BINS, generator=torch.Generator().manual_seed(2), dtype=torch.float64).cumsum(1)


def local(**settings):
    torch.manual_seed(0)
    return LocalEncoder(5, **{"hidden_size": 6, "stride": 3, "dilations": [1, 2], **settings}).double().eval()


def test_context_depends_on_the_bins_within_reach_alone():
    encoder, other = local(), COUNTS.clone()
    other[:, 20] += 1  # the third bin of the step of bins 18 to 20
    with torch.no_grad():
        moved = (encoder(COUNTS, SEEN, TIMES) - encoder(other, SEEN, TIMES)).abs().amax((0, 2)).nonzero().flatten()
    assert encoder.reach == 9
    assert moved.tolist() == list(range(18 - encoder.reach, 21 + encoder.reach))


def test_a_block_is_a_dilated_convolution_of_a_trial_that_goes_on_as_zeros():
    encoder = local(dilations=[2])
    padded = nn.functional.pad(torch.cat([COUNTS, torch.ones(4, OBSERVED, 1)], 2), (0, 0, 6, BINS + 1 - OBSERVED + 6))
    weight = encoder.embed.weight.unflatten(1, (3, 6)).transpose(1, 2)
    hidden = nn.functional.conv1d(padded.mT, weight, encoder.embed.bias, stride=3)
    mixed = nn.functional.conv1d(hidden, encoder.around[0].weight.unflatten(1, (3, 6)).transpose(1, 2), None, dilation=2)
    mixed = torch.relu(mixed.mT + encoder.around[0].bias)
    context = hidden.mT[:, 2:-2] + mixed @ encoder.back[0].weight.T + encoder.back[0].bias
    torch.testing.assert_close(encoder(COUNTS, SEEN, TIMES)[:, ::3], context)


def test_observations_are_passed_on_bin_by_bin_after_the_context_of_the_step():
    encoder, without = local(pass_on=True), local()
    context = encoder(COUNTS, SEEN, TIMES)
    assert encoder.output_size == context.shape[2] == 6 + 5
    torch.testing.assert_close(context[..., :6], without(COUNTS, SEEN, TIMES))
    torch.testing.assert_close(context[:, :OBSERVED, 6:], COUNTS)
    assert (context[:, OBSERVED:, 6:] == 0).all()


@pytest.mark.parametrize("settings", [{}, {"read_gaps": True}, {"pass_on": True}, {"pass_on": True, "stride": 1}])
def test_the_context_of_a_stretch_is_that_of_the_whole_trial(settings):
    encoder = local(**settings)
    whole, parts, around = encoder(COUNTS, SEEN, TIMES), 4, 6
    for index in range(parts):
        part = Part(torch.tensor([index, 0, index, parts - 1]), parts)
        stretch = encoder.stretch_of(part, BINS, around)
        made = encoder.local(stretch.of(COUNTS), stretch.of(SEEN), OBSERVED, TIMES, stretch)
        begin, end = part.index * BINS // parts, -(-(part.index + 1) * BINS // parts)
        span = torch.arange(-(-BINS // parts) + 2 * around)
        bins = (begin[:, None] - around + span).clamp(
            min=torch.zeros(4, 1), max=(end[:, None] - 1 + around).clamp(max=BINS - 1)
        )
        assert made.steps.shape[1] * made.stride < 0.7 * whole.shape[1]
        torch.testing.assert_close(in_bins(made, bins.long()), in_bins(whole, bins.long()))


def test_a_bin_beyond_the_stretch_is_refused():
    encoder = local()
    stretch = encoder.stretch_of(Part(torch.full((4,), 3), 4), BINS, 0)
    made = encoder.local(stretch.of(COUNTS), stretch.of(SEEN), OBSERVED, TIMES, stretch)
    for bin in (0, BINS + 12):
        with pytest.raises((RuntimeError, IndexError)):
            made.gathered(torch.full((1, 1), bin))


@pytest.mark.parametrize(
    ("setting", "told"), [({"stride": 0}, "stride is 0"), ({"dilations": [1, 0]}, r"dilations is \[1, 0\]")]
)
def test_impossible_sizes_are_refused(setting, told):
    with pytest.raises(ConfigError, match=told):
        local(**setting)
