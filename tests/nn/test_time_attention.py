import math

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.nn.encoders import TimeAttentionEncoder

GENERATOR = torch.Generator().manual_seed(0)
VALUES = torch.randn(3, 6, 5, dtype=torch.float64, generator=GENERATOR)
SEEN = torch.rand(3, 6, 5, generator=GENERATOR) < 0.5
SEEN[1, :, 2] = False  # a channel of which nothing was seen
SEEN[2] = False  # a trial of which nothing was seen
TIMES = torch.rand(3, 8, dtype=torch.float64, generator=GENERATOR).cumsum(1)  # two forward bins
DURATION_S = 4.0


def encoder(**switches):
    torch.manual_seed(0)
    return TimeAttentionEncoder(5, 8, DURATION_S, time_size=12, **switches).double().eval()


def phi(ours, time):
    """The embedding of one time."""
    angles = (ours.embed_time.frequency * time / DURATION_S + ours.embed_time.phase).tolist()
    return torch.tensor([angles[0], *(math.sin(a) for a in angles[1:])], dtype=torch.float64)


def brute_force(ours, values, seen, times):
    """The interpolation by its definition: for each trial, bin, head and channel a softmax over what was seen."""
    mean = torch.zeros(3, 8, 2, 5, dtype=torch.float64)
    for trial, bin, head, channel in torch.cartesian_prod(*map(torch.arange, mean.shape)).tolist():
        bins = [i for i in range(6) if seen[trial, i, channel]]
        if not bins:
            continue
        part = slice(6 * head, 6 * head + 6)
        query = ours.query(phi(ours, times[trial, bin]))[part]
        scores = [ours.key(phi(ours, times[trial, i]))[part] @ query / 6**0.5 for i in bins]
        mean[trial, bin, head, channel] = torch.stack(scores).softmax(0) @ values[trial, bins, channel]
    return mean.flatten(2)


def test_interpolation_is_its_definition():
    ours = encoder()
    expected = brute_force(ours, VALUES, SEEN, TIMES)
    assert (expected[2] == 0).all()
    torch.testing.assert_close(ours.interpolate(VALUES, SEEN, TIMES), expected)


@pytest.mark.parametrize(("sharper", "exact"), [(2, True), (6, False)])
def test_kernel_so_sharp_that_a_channel_was_seen_only_far_away(sharper, exact):
    """Exact while a channel's nearest value scores within 60 of the best of all channels; a mean of its values beyond."""
    ours, seen = encoder(), SEEN.clone()
    seen[0] = torch.eye(6, 5).bool()  # each channel seen once or, the last one, twice
    seen[0, 5, 4] = True
    with torch.no_grad():
        ours.query.weight *= 3 * sharper
        ours.key.weight *= 3 * sharper
        expected = brute_force(ours, VALUES, seen, TIMES)
    values, times = VALUES.float(), TIMES.float()
    mean = ours.float().interpolate(values, seen, times)
    assert (ours.kernel(times, 6).min() > 1.01 * math.exp(-60)) == exact
    assert torch.allclose(mean.double(), expected, atol=1e-4) == exact
    once = mean[0].unflatten(1, (2, 5))[:, :, :4]
    torch.testing.assert_close(once, values[0].diagonal()[:4].expand(8, 2, 4))
    twice = mean[0].unflatten(1, (2, 5))[:, :, 4]
    assert twice.min() >= values[0, 4:, 4].min() - 1e-6
    assert twice.max() <= values[0, 4:, 4].max() + 1e-6


def test_context_is_linear_in_the_interpolation_and_the_channels_ever_seen():
    ours = encoder(recurrent=False)
    for trial in range(3):
        ever = SEEN[trial].any(0).double().expand(8, -1)
        rows = torch.cat([ours.interpolate(VALUES, SEEN, TIMES)[trial], ever], dim=1)
        torch.testing.assert_close(ours(VALUES, SEEN, TIMES)[trial], ours.mix(rows))
    recurrent = encoder()
    torch.testing.assert_close(recurrent(VALUES, SEEN, TIMES), recurrent.gru(ours(VALUES, SEEN, TIMES))[0])


def test_values_that_were_not_seen_are_never_read():
    """Not even NaN, and the gradient is clean."""
    ours, hidden = encoder(), torch.where(SEEN, VALUES, torch.nan)
    context = ours(hidden, SEEN, TIMES)
    assert torch.equal(context, ours(VALUES, SEEN, TIMES))
    context.sum().backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters())
    changed = torch.where(SEEN, VALUES + 1, VALUES)
    assert not torch.allclose(context[:2], ours(changed, SEEN, TIMES)[:2])


def test_unseen_differs_from_zero():
    ours = encoder()
    zeros = torch.zeros_like(VALUES)
    context = ours(zeros, torch.ones_like(SEEN), TIMES)
    assert not torch.allclose(context, ours(zeros, torch.zeros_like(SEEN), TIMES))


def test_constant_channels_are_interpolated_exactly():
    values = torch.arange(5, dtype=torch.float64).expand(3, 6, 5)
    mean = encoder().interpolate(values, SEEN, TIMES).unflatten(2, (2, 5))
    expected = torch.where(SEEN.any(1), values[:, 0], 0.0)[:, None, None].expand(-1, 8, 2, -1)
    torch.testing.assert_close(mean, expected)


def test_order_of_the_bins_does_not_matter_but_their_times_do():
    ours, order = encoder(recurrent=False), torch.tensor([2, 0, 1, 5, 3, 4, 6, 7])
    context, shuffled = ours(VALUES, SEEN, TIMES), (VALUES[:, order[:6]], SEEN[:, order[:6]])
    torch.testing.assert_close(ours(*shuffled, TIMES[:, order]), context[:, order])
    assert not torch.allclose(ours(*shuffled, TIMES), context[:, order])


def test_times_per_trial_equal_shared_ones():
    shared = TIMES[:1]
    context = encoder()(VALUES, SEEN, shared)
    torch.testing.assert_close(encoder()(VALUES, SEEN, shared.expand(3, -1)), context)
    assert not torch.allclose(encoder()(VALUES, SEEN, TIMES)[1], context[1])


def test_unit_of_time_cancels():
    other = encoder()
    other.embed_time.duration_s *= 1000
    torch.testing.assert_close(other(VALUES, SEEN, 1000 * TIMES), encoder()(VALUES, SEEN, TIMES))


@pytest.mark.parametrize(("switches", "size"), [({}, 16), ({"bidirectional": False}, 8), ({"recurrent": False}, 8)])
def test_output_size_is_the_context_s(switches, size):
    ours = encoder(**switches)
    assert ours.output_size == ours(VALUES, SEEN, TIMES).shape[2] == size


def test_heads_that_do_not_divide_the_embedding_are_refused():
    with pytest.raises(ConfigError, match=r"time_size=12 does not split into model.encoder.heads=5"):
        encoder(heads=5)
