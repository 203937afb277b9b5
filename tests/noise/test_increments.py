import pytest
import torch
from scipy import stats

from neuralsde.errors import ConfigError
from neuralsde.noise import Brownian, FixedPath, Increments, LevyArea


def grid(times, ndim=2):
    return torch.as_tensor(times, dtype=torch.float64).view(-1, *[1] * ndim)


def draw(times, shape=(4, 2), seed=0, area=LevyArea.SPACE_TIME_TIME):
    return Brownian(torch.Generator().manual_seed(seed)).increments(grid(times, len(shape)), shape, area)


def test_joining_agrees_with_the_integrals_that_define_the_areas():
    """A piecewise linear path has no areas within a piece; joined, they are the integrals over the whole path."""
    times = torch.tensor([0.0, 0.1, 0.35, 0.5, 1.2], dtype=torch.float64)
    w = torch.tensor([0.3, -0.7, 0.2, 0.9], dtype=torch.float64).view(4, 1)
    path = Increments(times.diff().view(4, 1), w, torch.zeros(4, 1).double(), torch.zeros(4, 1).double())
    joined = path.coarsen(4)[0]

    values = torch.cat([torch.zeros(1, dtype=torch.float64), w[:, 0].cumsum(0)])
    u = torch.linspace(0, 1.2, 1_200_001, dtype=torch.float64)
    piece = (torch.searchsorted(times, u, right=True) - 1).clamp(max=3)
    path_u = values[piece] + (u - times[piece]) / (times[piece + 1] - times[piece]) * w[piece, 0]
    bridge = path_u - u / 1.2 * values[-1]
    torch.testing.assert_close(joined.w[0], values[-1])
    torch.testing.assert_close(joined.h[0], torch.trapezoid(bridge, u) / 1.2, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(joined.k[0], torch.trapezoid(bridge * (0.6 - u), u) / 1.2**2, rtol=1e-8, atol=1e-10)


def test_coarsening_in_one_go_and_in_two_agree():
    path = draw([0, 0.1, 0.3, 0.35, 0.6, 0.7, 1.0, 1.5, 1.6])
    for once, twice in zip(path.coarsen(8).__dict__.values(), path.coarsen(2).coarsen(4).__dict__.values(), strict=True):
        torch.testing.assert_close(once, twice, rtol=1e-12, atol=1e-14)


def test_reversal_keeps_h_and_negates_w_and_k():
    path = draw([0, 0.2, 0.5])
    there_and_back = path[1].reversed().join(path[0].reversed())
    reverse = path[0].join(path[1]).reversed()
    for a, b in zip(there_and_back.__dict__.values(), reverse.__dict__.values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    assert torch.equal(path.reversed().h, path.h)


@pytest.mark.parametrize("coarsening", [1, 5])
def test_marginal_laws(coarsening):
    """KS on 200,000 samples at p > .1 / 6; scaled by 1.05 the same
    samples are rejected; cross-correlations < .01."""
    step = 0.3 / coarsening
    path = draw([step * n for n in range(coarsening + 1)], (200_000,), seed=1)
    joined = path.coarsen(coarsening)[0]
    quantities = torch.stack([joined.w, joined.h, joined.k])
    for z, variance in zip(quantities, (0.3, 0.3 / 12, 0.3 / 720), strict=True):
        assert stats.kstest(z / variance**0.5, "norm").pvalue > 0.1 / 6
        assert stats.kstest(1.05 * z / variance**0.5, "norm").pvalue < 1e-6
    assert (torch.corrcoef(quantities) - torch.eye(3)).abs().max() < 0.01


def test_steps_may_differ_per_sample():
    times = torch.tensor([[0.0, 0.0], [0.5, 0.1], [2.0, 0.2]], dtype=torch.float64).unsqueeze(-1)
    path = Brownian(torch.Generator().manual_seed(0)).increments(times, (2, 50_000), LevyArea.SPACE_TIME)
    torch.testing.assert_close(path.w.var(-1), times.diff(dim=0)[..., 0], rtol=0.05, atol=0)
    torch.testing.assert_close(path.h.var(-1), times.diff(dim=0)[..., 0] / 12, rtol=0.05, atol=0)


def test_spawned_sources_repeat_themselves_and_differ_from_each_other():
    first, second = Brownian(torch.Generator().manual_seed(0)).spawn([2, 2])
    times = grid([0, 1, 2])
    assert torch.equal(first.increments(times, (3, 2)).w, first.increments(times, (3, 2)).w)
    assert not torch.equal(first.increments(times, (3, 2)).w, second.increments(times, (3, 2)).w)


def test_what_does_not_fit_is_refused_with_both_values():
    path = draw([0, 1, 2, 3])
    with pytest.raises(ConfigError, match=r"3 steps cannot be coarsened by 2"):
        path.coarsen(2)
    with pytest.raises(ConfigError, match=r"carries NONE areas, but SPACE_TIME was asked"):
        path.keep(LevyArea.NONE).keep(LevyArea.SPACE_TIME)
    with pytest.raises(ConfigError, match=r"shape \(3, 4, 2\).*asks for \(3, 5, 2\)"):
        FixedPath(path).increments(grid([0, 1, 2, 3]), (5, 2))
    with pytest.raises(ConfigError, match=r"float64, but the state has torch.float32"):
        FixedPath(path).increments(grid([0, 1, 2, 3]), (4, 2), dtype=torch.float32)


def test_a_fixed_path_is_cut_into_stretches():
    path = draw([0, 1, 2, 3])
    first, second = FixedPath(path).spawn([1, 2])
    assert torch.equal(first.increments(grid([0, 1]), (4, 2)).w, path.w[:1])
    assert torch.equal(second.increments(grid([1, 2, 3]), (4, 2)).w, path.w[1:])
