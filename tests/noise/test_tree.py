import math

import pytest
import torch
from scipy import stats

from neuralsde.errors import ConfigError
from neuralsde.noise import BrownianTree, LevyArea

ALL = LevyArea.SPACE_TIME_TIME


def grid(*times, ndim=2):
    return torch.tensor(times, dtype=torch.float64).view(-1, *[1] * ndim)


def whitened(path):
    """Per step the three quantities over their standard deviations: (steps, 3, samples)."""
    dt = path.dt
    return torch.stack([path.w / dt.sqrt(), path.h / (dt / 12).sqrt(), path.k / (dt / 720).sqrt()], 1).flatten(2)


def triples(count, seed):
    """`count` triples s < r < u of random times at least .001 apart on [0, 2], some of them dyadic, some very close."""
    generator = torch.Generator().manual_seed(seed)
    out = []
    while len(out) < count:
        s, r, u = (torch.rand(3, generator=generator, dtype=torch.float64) ** 2 * 2).sort().values.tolist()
        if len(out) % 10 == 0:
            s, r, u = 0.5, 1.0, 2.0 - 2 * s / 5
        if len(out) % 10 == 1:
            r = s + 0.001 * (1 + r)
        if min(r - s, u - r) > 0.001:
            out.append((s, r, u))
    return out


@pytest.mark.parametrize("count", [9, pytest.param(90, marks=pytest.mark.slow)])
def test_conditional_laws_at_random_times(count):
    """Over adjacent steps [s, r], [r, u] the six quantities are iid normal after whitening, which fixes the law of
    each given its neighbours. KS at p > .1 / (6 count) on 20,000 paths; correlations within 6 / sqrt(20,000).
    """
    paths = 20_000
    for number, (s, r, u) in enumerate(triples(count, seed=0)):
        tree = BrownianTree(number, 0.0, 2.0, 1e-3)
        z = whitened(tree.increments(grid(s, r, u), (paths, 1), ALL)).flatten(0, 1)
        assert min(stats.kstest(x, "norm").pvalue for x in z) > 0.1 / (count * 6)
        assert (torch.corrcoef(z) - torch.eye(6)).abs().max() < 6 / paths**0.5


@pytest.mark.parametrize("wrong", ["zero", "scaled"])
def test_a_wrong_conditional_law_is_rejected(wrong, monkeypatch):
    """Control: a tree whose interior points follow the conditional mean, or whose noise is 5 % too large."""
    import neuralsde.noise.tree as module

    factor, inner, halves = {"zero": 0.0, "scaled": 1.05}[wrong], module.interior, module.split
    monkeypatch.setattr(module, "interior", lambda node, p, normals: inner(node, p, [factor * z for z in normals]))
    if wrong == "scaled":
        monkeypatch.setattr(module, "split", lambda node, normals: halves(node, [factor * z for z in normals]))
    tree = BrownianTree(0, 0.0, 2.0, 0.4)
    z = whitened(tree.increments(grid(0.2, 1.0, 1.45), (50_000, 1), ALL)).flatten(0, 1)
    assert min(stats.kstest(x, "norm").pvalue for x in z) < 1e-6


def test_short_steps_keep_their_law():
    """At steps of 2e-6 of the span K is about 1e-17 un-normalised: differences from time zero would lose it."""
    tree = BrownianTree(5, 0.0, 1.0, 1e-6)
    z = whitened(tree.increments(grid(0.7, 0.700002, 0.700005), (20_000, 1), ALL)).flatten(0, 1)
    assert min(stats.kstest(x, "norm").pvalue for x in z) > 0.1 / 6


@pytest.mark.parametrize("area", list(LevyArea))
def test_additivity_over_random_times(area):
    tree = BrownianTree(1, -1.0, 3.0, 1e-4, area)
    for s, u, t in triples(20, seed=2):
        parts = tree.increments(grid(s, u, t), (5, 2), area)
        whole = tree.increments(grid(s, t), (5, 2), area)
        for a, b in zip(parts.coarsen(2).__dict__.values(), whole.__dict__.values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_numbers_do_not_depend_on_the_order_or_grouping_of_queries():
    times = [0.0, 0.05, 0.1, 0.7, 0.9, 1.0]
    tree = BrownianTree(0, 0.0, 1.0, 1e-3)
    together = tree.increments(grid(*times), (3, 2), ALL)
    for n in (4, 0, 2, 3, 1):
        alone = BrownianTree(0, 0.0, 1.0, 1e-3).increments(grid(*times[n : n + 2]), (3, 2), ALL)
        for a, b in zip(alone.__dict__.values(), together[n : n + 1].__dict__.values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def test_blocks_do_not_change_the_numbers(monkeypatch):
    import neuralsde.noise.tree as module

    tree, times = BrownianTree(0, 0.0, 1.0, 1e-3), grid(*(n / 20 for n in range(21)))
    once = tree.increments(times, (3, 2), ALL)
    monkeypatch.setattr(module, "BLOCK", 1)
    blocked = tree.increments(times, (3, 2), ALL)
    for a, b in zip(once.__dict__.values(), blocked.__dict__.values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def test_per_sample_times_read_each_sample_s_own_path():
    tree = BrownianTree(3, 0.0, 1.0, 1e-3)
    times = torch.tensor([[0.1, 0.2], [0.4, 0.3], [0.9, 1.0]], dtype=torch.float64).unsqueeze(-1)
    both = tree.increments(times, (2, 4), ALL)
    for sample in range(2):
        alone = tree.increments(grid(*times[:, sample, 0].tolist()), (2, 4), ALL)
        torch.testing.assert_close(both.k[:, sample], alone.k[:, sample], rtol=1e-10, atol=1e-13)


def test_less_area_is_the_same_path_and_more_is_refused():
    tree = BrownianTree(0, 0.0, 1.0, 1e-2, LevyArea.SPACE_TIME)
    times = grid(0.0, 0.5, 1.0)
    assert torch.equal(tree.increments(times, (2, 2)).w, tree.increments(times, (2, 2), LevyArea.SPACE_TIME).w)
    with pytest.raises(ConfigError, match="carries SPACE_TIME areas, but SPACE_TIME_TIME was asked"):
        tree.increments(times, (2, 2), ALL)


def test_seeds_differ_and_the_whole_has_the_right_variance():
    ends = grid(2.0, 6.0)
    paths = [BrownianTree(seed, 2.0, 6.0, 0.5).increments(ends, (50_000, 1), ALL) for seed in (0, 1)]
    for path in paths:
        for x, variance in ((path.w, 4.0), (path.h, 4 / 12), (path.k, 4 / 720)):
            assert math.isclose(x.var().item(), variance, rel_tol=6 * math.sqrt(2 / 50_000))
    assert torch.corrcoef(torch.stack([p.w.flatten() for p in paths]))[0, 1].abs() < 6 / 50_000**0.5


def test_impossible_trees_and_times_are_refused():
    with pytest.raises(ConfigError, match=r"t0 is 1.0 and t1 is 0.0"):
        BrownianTree(0, 1.0, 0.0, 0.1)
    with pytest.raises(ConfigError, match=r"positive tolerance, but it is 0"):
        BrownianTree(0, 0.0, 1.0, 0.0)
    tree = BrownianTree(0, 0.0, 1.0, 0.1)
    with pytest.raises(ConfigError, match=r"covers \[0.0, 1.0\], but times in \[0.5, 1.5\]"):
        tree.increments(grid(0.5, 1.5), (1, 1))
    with pytest.raises(ConfigError, match=r"0.05.* apart, but the Brownian tree's tolerance is 0.1"):
        tree.increments(grid(0.5, 0.55), (1, 1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_numbers_on_every_device():
    tree, times = BrownianTree(0, 0.0, 1.0, 1e-3), grid(0.0, 0.31, 1.0)
    there = tree.increments(times.cuda(), (3, 2), ALL)
    torch.testing.assert_close(there.k.cpu(), tree.increments(times, (3, 2), ALL).k, rtol=1e-10, atol=1e-13)
