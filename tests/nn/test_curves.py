"""Curves through a trial's bins: derivatives, what they pass through, and what they depend on."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.interpolate import BPoly, CubicHermiteSpline

from neuralsde.errors import ConfigError
from neuralsde.nn.curves import AttentionCurves, KernelCurves, SplineCurves
from neuralsde.nn.local_context import LocalContext, whole

CURVES = {
    "spline": SplineCurves,
    "sparse_spline": partial(SplineCurves, knot_bins=3),
    "attention": partial(AttentionCurves, hidden_size=8),
    "kernel": KernelCurves,
}


def made(kind, channels=3, bends=False):
    torch.manual_seed(0)
    curves = CURVES[kind](4, channels, bends=bends).double()
    for parameter in curves.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    return curves


def trial(batch=2, bins=9, shared=False):
    torch.manual_seed(1)
    clock = (0.2 + torch.rand(1 if shared else batch, bins)).double().cumsum(1)
    t = clock[:, :1] + (clock[:, -1:] - clock[:, :1]) * torch.rand(batch, 25).double()
    return torch.randn(batch, bins, 4).double(), clock, t


@pytest.mark.parametrize("bends", [False, True])
@pytest.mark.parametrize("kind", CURVES)
def test_derivatives_are_those_of_the_values(kind, bends):
    curves, (context, clock, t) = made(kind, bends=bends), trial()
    step = 1e-5
    here, after, before = (curves(context, clock, at) for at in (t, t + step, t - step))
    # The median: a kink may lie between the two.
    assert (here.slope - (after.value - before.value) / (2 * step)).abs().median() < 1e-8
    if bends:
        assert (here.bend - (after.slope - before.slope) / (2 * step)).abs().median() < 1e-7


@pytest.mark.parametrize("kind", CURVES)
def test_values_in_bins_are_those_at_their_times(kind):
    curves, (context, clock, _) = made(kind), trial(shared=True)
    bins = torch.tensor([[0, 3, 8], [7, 2, 2]])
    torch.testing.assert_close(
        curves.at_bins(context, clock, bins), curves(context, clock, clock.expand(2, -1).gather(1, bins)).value
    )


@pytest.mark.parametrize("kind", CURVES)
def test_times_that_trials_share_are_as_times_of_their_own(kind):
    curves, (context, clock, t) = made(kind), trial(shared=True)
    for one, other in zip(
        curves(context, clock, t[:1]), curves(context, clock.expand(2, -1), t[:1].expand(2, -1)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_spline_without_corrections_is_scipy_s_with_the_parabolas_slopes():
    curves, (context, clock, t) = made("spline", channels=1), trial(batch=1)
    torch.nn.init.zeros_(curves.correction.weight), torch.nn.init.zeros_(curves.correction.bias)
    x, y = clock[0].numpy(), curves.value(context)[0, :, 0].detach().numpy()
    expected = CubicHermiteSpline(x, y, np.gradient(y, x))(t[0].numpy())  # second order inside, first at the ends: as ours
    np.testing.assert_allclose(curves(context, clock, t).value[0, :, 0].detach().numpy(), expected, rtol=1e-10)


def test_a_quintic_spline_is_scipy_s_through_its_own_values_slopes_and_bends():
    curves, (context, clock, t) = made("spline", channels=1, bends=True), trial(batch=1)
    right, left = clock, (clock[:, 1:] - 1e-12)
    begin, end = curves(context, clock, right), curves(context, clock, left)
    ends = [[[p[0, n, 0].item() for p in begin], [p[0, n, 0].item() for p in end]] for n in range(8)]
    for n, (low, high) in enumerate(ends):
        inside = t[(t >= clock[0, n]) & (t < clock[0, n + 1])]
        expected = BPoly.from_derivatives(clock[0, n : n + 2].numpy(), [low, high])(inside.numpy())
        np.testing.assert_allclose(curves(context, clock, inside[None]).value[0, :, 0].detach().numpy(), expected, atol=1e-8)


def test_a_cubic_spline_may_have_kinks_and_a_quintic_one_has_none():
    context, clock, _ = trial(batch=1)
    after, before = clock[:, 1:-1], clock[:, 1:-1] - 1e-11
    cubic, quintic = made("spline"), made("spline", bends=True)
    assert (cubic(context, clock, after).slope - cubic(context, clock, before).slope).abs().min() > 1e-3
    torch.testing.assert_close(quintic(context, clock, after).slope, quintic(context, clock, before).slope, atol=1e-8, rtol=0)
    assert (quintic(context, clock, after).bend - quintic(context, clock, before).bend).abs().min() > 1e-3


def test_a_point_of_a_spline_depends_on_four_bins():
    curves, (context, clock, _) = made("spline"), trial(batch=1)
    context.requires_grad_()
    curves(context, clock, (clock[:, 4:5] + clock[:, 5:6]) / 2).value.sum().backward()
    assert context.grad is not None
    assert (context.grad[0].abs().sum(1) > 0).nonzero().flatten().tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize("points", [1, 25])  # that read fewer bins than there are, and more
def test_knots_every_few_bins_are_a_spline_through_those(points):
    sparse, (context, clock, t) = made("sparse_spline"), trial(bins=9)
    dense = made("spline")
    dense.load_state_dict(sparse.state_dict())
    knots, t = [0, 3, 6, 8], t[:, :points]  # the last bin is always one
    for one, other in zip(sparse(context, clock, t), dense(context[:, knots], clock[:, knots], t), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("points", [1, 25])
@pytest.mark.parametrize("bends", [False, True])
@pytest.mark.parametrize("kind", ["spline", "sparse_spline", "attention"])
def test_the_context_of_a_stretch_makes_the_same_curves(kind, bends, points):
    """With one context in two bins, and another stretch of each trial."""
    curves, (context, clock, _) = made(kind, bends=bends), trial(bins=40)
    steps, first = context[:, ::2], torch.tensor([2, 6])
    stretch = torch.stack([trial[n : n + 13] for trial, n in zip(steps, first, strict=True)])
    reach, local = curves.reach, LocalContext(stretch, first, 2, 40, whole(2, first.device))
    begin, end = (clock.gather(1, n[:, None]) for n in (2 * first + reach, 2 * first + 25 - reach))
    t = begin + (end - begin) * torch.rand(2, points).double()
    for one, other in zip(curves(local, clock, t), curves(steps.repeat_interleave(2, 1), clock, t), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", CURVES)
def test_channels_that_start_at_zero(kind):
    curves, (context, clock, t) = CURVES[kind](4, 5).double(), trial()
    curves.start_at_zero(2)
    value = curves(context, clock, t).value
    assert (value[..., 2:] == 0).all()
    assert (value[..., :2] != 0).all()


def test_a_spline_begins_near_a_linear_map_of_the_last_entries_of_the_context():
    curves, (context, clock, _) = SplineCurves(4, 5).double(), trial()
    bins = torch.arange(clock.shape[1]).expand(len(context), -1)
    weight, offset, rest = (
        torch.tensor([[1.0, 2.0], [3.0, -1.0]]).double(),
        torch.tensor([0.5, 0.1]).double(),
        curves.value.weight,
    )
    others = rest[:2, :2].detach().clone()
    curves.start_through(weight, offset)
    found, expected = curves.at_bins(context, clock, bins), offset + context[..., 2:] @ weight.T
    torch.testing.assert_close(found[..., :2], expected + 0.1 * context[..., :2] @ others.T)
    moved = context + torch.tensor([0.0, 0.0, 1.0, 1.0]).double()
    torch.testing.assert_close(curves.at_bins(moved, clock, bins)[..., 2:], found[..., 2:])  # spreads do not follow the data


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (partial(SplineCurves, knot_bins=0), "knot_bins is 0; give a whole number"),
        (partial(AttentionCurves, window=3), "window is 3; give an even number"),
        (partial(KernelCurves, length=0.0), "length=0.0 and noise=0.3; give positive"),
    ],
)
def test_impossible_settings_are_refused(make, reason):
    with pytest.raises(ConfigError, match=reason):
        make(4, 3)


def test_a_kernel_refuses_a_trial_that_is_too_long():
    curves, clock = KernelCurves(4, 1), torch.arange(1001.0)[None]
    with pytest.raises(ConfigError, match="all 1001 bins of a trial, and takes at most 1000"):
        curves(torch.randn(1, 1001, 4), clock, clock[:, :2])
