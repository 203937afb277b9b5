import itertools

import numpy as np
import torch

from neuralsde.nn.encoders import RocketEncoder
from neuralsde.nn.encoders.rocket import drawn_kernels
from neuralsde.nn.stretches import stretch_bounds, stretch_means, stretch_of

BATCH, CHANNELS, BINS = 6, 3, 41


def series(seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(BATCH, BINS, CHANNELS, generator=generator, dtype=torch.float64).cumsum(1)
    seen = (torch.rand(BATCH, BINS, 1, generator=generator) > 0.3).expand_as(values)
    return values * seen, seen, torch.arange(BINS, dtype=torch.float64)[None].expand(BATCH, -1)


def encoder(**settings):
    return RocketEncoder(CHANNELS, float(BINS - 1), BINS, hidden_size=5, **settings).double()


def test_kernels_are_minirockets_over_some_of_the_channels():
    kernels = drawn_kernels(3, 12, 0)
    places = {tuple(np.flatnonzero(k == 2.0)) for k in kernels[0].sum(1).div(kernels[0].any(2).sum(1, keepdim=True)).numpy()}
    assert places == set(itertools.combinations(range(9), 3))
    assert (kernels.sum(3) == 0).all()
    count = kernels.any(3).sum(2)
    assert (count.min(), count.max() <= 9, count.max() > 5) == (1, True, True)


def test_shares_are_those_of_a_direct_sum():
    made = encoder(stretches=1, fill="linear").eval()
    values, seen, times = series()
    x, d, kernel = made.path(values, seen, times)[..., :CHANNELS], 2, 17
    bounds = stretch_bounds(BINS, 1)
    made.dilations, made.weight = [d], made.weight[1:2]
    made.outputs, made.shares, made.whole = torch.nn.Identity(), torch.nn.Identity(), torch.nn.Identity()
    made.thresholds = made.thresholds[:84]
    found = made.shares_of(x.transpose(1, 2), times, bounds)[0][:, 0].view(BATCH, -1, 84)[:, 1, kernel]
    for row, share in zip(x, found, strict=True):
        padded = torch.nn.functional.pad(row, (0, 0, 4 * d, 4 * d))
        taps = torch.stack([padded[k * d : k * d + BINS] for k in range(9)], 2)
        output = (taps * made.weight[0, kernel]).sum((1, 2))
        torch.testing.assert_close(share, (output > made.thresholds[kernel, 1]).double().mean())


def test_a_stretch_has_one_context_and_any_scale_of_the_series_the_same_shares():
    made, (values, seen, times) = encoder(stretches=4).train(), series()
    where = stretch_of(stretch_bounds(BINS, 4), BINS)
    torch.manual_seed(0)
    context = made(values, seen, times)
    assert context.shape == (BATCH, BINS, 5)
    for stretch in range(4):
        part = context[:, where == stretch]
        torch.testing.assert_close(part, part[:, :1].expand_as(part))
    bounds = stretch_bounds(BINS, 4)
    shares = [made.shares_of(scale * values.transpose(1, 2), times, bounds)[0] for scale in (1.0, 7.0)]
    torch.testing.assert_close(*shares, atol=1e-3, rtol=1e-3)
    assert (shares[0] - made.shares_of(values.transpose(1, 2) ** 2, times, bounds)[0]).abs().max() > 0.1


def test_shares_of_the_whole_trial_do_not_depend_on_its_stretches():
    values, _, times = series()
    times = times**1.5  # stretches of unequal length
    of_parts, of_one = (
        made.shares_of(values.transpose(1, 2), times, stretch_bounds(BINS, stretches))
        for made, stretches in ((encoder(stretches=4), 4), (encoder(stretches=1), 1))
    )
    torch.testing.assert_close(of_parts[1], of_one[1])
    torch.testing.assert_close(of_one[1], of_one[0][:, 0])
    assert (of_parts[0].mean(1) - of_parts[1]).abs().max() > 0.1


def test_means_of_stretches_weigh_bins_by_their_time():
    times = torch.tensor([[0.0, 1.0, 3.0, 4.0, 4.5]])
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])[..., None]
    bounds = stretch_bounds(5, 2)
    assert bounds.tolist() == [0, 2, 4]
    assert stretch_of(bounds, 5).tolist() == [0, 0, 1, 1, 1]
    expected = [(1 * 1 + 2 * 2) / 3, (3 * 1 + 4 * 0.5 + 5 * 0.5) / 2]
    torch.testing.assert_close(stretch_means(x, times, bounds)[0, :, 0], torch.tensor(expected))
    assert stretch_bounds(3, 16).tolist() == [0, 1, 2]
    assert stretch_bounds(1, 16).tolist() == [0, 0]


def test_one_short_series_alone_in_its_batch_trains():
    encoder = RocketEncoder(2, 1.0, n_bins=2, hidden_size=4, stretches=1)
    found = encoder(torch.randn(1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool), torch.arange(2.0)[None])
    assert found.isfinite().all()
