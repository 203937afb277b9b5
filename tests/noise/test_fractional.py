"""Fractional noise: exact transitions, the law of its paths, and what it refuses."""

import math

import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.noise import Brownian, FixedPath, FractionalBrownian, LevyArea
from neuralsde.noise.fractional import check_plain
from neuralsde.noise.fractional_weights import Fractional, covariance
from neuralsde.sde import GeometricBrownian, OrnsteinUhlenbeck
from neuralsde.solvers import EulerMaruyama, LogEuler, Milstein, ShARK, integrate

KINDS = ["type_i", "type_ii"]


def noise(hurst=0.3, size=1, horizon=1.0, **settings):
    return FractionalBrownian(size, horizon, hurst, **settings)


def grid(*points):
    return torch.tensor(points, dtype=torch.float64).view(-1, 1, 1)


def moves(made, *points):
    """The map of (noise, memory) over the steps between `points`, and the covariance that they add, from the bank's facts."""
    bank = made.bank(grid(*points), torch.float64)
    count, phi_all, q_all = len(made.rates), [], []
    for n in range(len(points) - 1):
        at = min(n, len(bank.root) - 1)
        phi, new = torch.eye(count + 1, dtype=torch.float64), torch.zeros(count + 1, count, dtype=torch.float64)
        phi[0, 1:], phi[1:, 1:] = bank.pull[at, 0, 0], torch.diag(bank.decay[at, 0, 0])
        new[0], new[1:] = made.weights()[0] @ bank.root[at, 0], bank.root[at, 0]
        phi_all.append(phi), q_all.append(new @ new.T)
    phi, q = phi_all[0], q_all[0]
    for more, added in zip(phi_all[1:], q_all[1:], strict=True):
        phi, q = more @ phi, more @ q @ more.T + added
    return phi, q


def relative_error(found, expected):
    scale = expected.diagonal().sqrt()
    return ((found - expected) / (scale[:, None] * scale)).abs().max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1e-4, 0.01, 0.3])
def test_one_step_is_two_of_half_its_length(kind, step):
    """Mean and covariance of noise and memory, to 1e-9 of the deviations, from rates of no effect to rates that forget all."""
    made = noise(0.7, kind=kind, processes=8)
    whole, halves = moves(made, 0.0, step), moves(made, 0.0, step / 2, step)
    thirds = moves(made, 0.0, step / 3, step)
    torch.testing.assert_close(whole[0], halves[0], rtol=1e-9, atol=1e-12)
    assert relative_error(halves[1], whole[1]) < 1e-8
    assert relative_error(thirds[1], whole[1]) < 1e-8
    assert relative_error(1.05 * halves[1], whole[1]) > 0.01  # control


@pytest.mark.parametrize("kind", KINDS)
def test_the_steered_part_and_the_rest_make_the_whole_innovation(kind):
    made = noise(0.3, kind=kind)
    bank = made.bank(grid(0.0, 0.02), torch.float64)
    root, loading = bank.root[0, 0], bank.loading[0, 0, 0]
    rest = torch.stack([bank.part(e.view(1, 1, 1, -1))[1].flatten() for e in torch.eye(5, dtype=torch.float64)], 1)
    torch.testing.assert_close(rest @ rest.T + 0.02 * torch.outer(loading, loading), root @ root.T)
    weights = made.weights()[0]
    torch.testing.assert_close(
        weights @ rest, torch.zeros(5, dtype=torch.float64), atol=1e-12, rtol=0
    )  # the noise is W's alone
    torch.testing.assert_close(weights @ loading, bank.gain[0, 0, 0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hurst", [0.15, 0.5, 0.85])
def test_paths_have_the_approximation_s_covariance(kind, hurst):
    """100,000 paths on six uneven times against the closed form, six standard errors; deviations 3 % larger fail (control)."""
    made, n = noise(hurst, kind=kind, generator=torch.Generator().manual_seed(0)), 100_000
    times = torch.tensor([0.0, 0.01, 0.05, 0.3, 0.55, 1.0], dtype=torch.float64)
    path = made.increments(times.view(-1, 1, 1), (n, 1)).w.cumsum(0)[..., 0]
    w = made.weights()[0] / made.unit
    expected = covariance(Fractional(kind), w, made.rates, times[1:, None], times[None, 1:])
    deviation = expected.diagonal().sqrt()
    bound = 6 * math.sqrt(2 / n) * torch.outer(deviation, deviation)
    assert ((path.cov() - expected).abs() < bound).all()
    assert ((1.03**2 * path.cov() - expected).abs() > bound).any()


def test_at_one_half_it_is_brownian_motion():
    """Covariance of three increments, of type I; 100,000 paths, six standard errors; H = .55 must fail (control)."""

    def cov(hurst):
        made = noise(hurst, processes=8, generator=torch.Generator().manual_seed(0))
        return made.increments(grid(0.0, 0.2, 0.5, 1.0), (100_000, 1)).w[..., 0].cov()

    expected = torch.diag(torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64))
    bound = 6 * math.sqrt(2 / 100_000) * 0.5
    assert ((cov(0.5) - expected).abs() < bound).all()
    assert ((cov(0.55) - expected).abs() > bound).any()


@pytest.mark.parametrize("kind", KINDS)
def test_times_of_their_own_move_like_shared_ones(kind):
    times, made = torch.tensor([0.0, 0.1, 0.3, 0.7], dtype=torch.float64), noise([0.3, 0.8], 2, kind=kind)
    shared, own = (made.bank(t, torch.float64) for t in (times.view(-1, 1, 1), times.view(-1, 1, 1).expand(-1, 5, 1)))
    for a, b in zip(vars(shared).values(), vars(own).values(), strict=True):
        torch.testing.assert_close(a.expand_as(b), b)
    torch.manual_seed(0)
    one = made.increments(times.view(-1, 1, 1), (5, 2)).w
    torch.manual_seed(0)
    torch.testing.assert_close(made.increments(times.view(-1, 1, 1).expand(-1, 5, 1), (5, 2)).w, one)


def test_an_h_that_moves_is_that_of_its_time():
    """Var B(t) = t^(2 H(t)), by 40,000 paths to 3 %; that of a constant H is seen to differ (control)."""
    made = noise(0.5, kind="type_ii", processes=8, learn=True, knots=3)
    with torch.no_grad():
        made.raw.copy_(torch.tensor([[-2.0], [0.0], [2.0]]))
        times = torch.linspace(0, 1, 11, dtype=torch.float64).view(-1, 1, 1)
        variance = made.increments(times, (40_000, 1)).w.cumsum(0)[..., 0].var(1)
        hurst = made.hurst_at(times)[1:, 0, 0]
    assert hurst[1] < 0.3 < 0.7 < hurst[8]
    torch.testing.assert_close(variance, times[1:, 0, 0] ** (2 * hurst), rtol=0.03, atol=0)
    assert ((variance / times[1:, 0, 0] - 1).abs() > 0.1).any()


@pytest.mark.parametrize("kind", KINDS)
def test_h_learns_from_the_increments(kind):
    """The gradient of the mean squared increment over a short step, ln-variance 2 H ln h, against a finite difference."""
    made = noise(0.4, learn=True, kind=kind).double()

    def mean_square(shift=0.0):
        with torch.no_grad():
            made.raw.add_(shift)
        torch.manual_seed(0)
        value = made.increments(grid(0.0, 0.05), (20_000, 1)).w.square().mean()
        with torch.no_grad():
            made.raw.sub_(shift)
        return value

    mean_square().backward()
    difference = (mean_square(1e-3) - mean_square(-1e-3)).detach() / 2e-3
    torch.testing.assert_close(made.raw.grad.sum().double(), difference, rtol=1e-3, atol=0)
    assert difference < 0  # a greater H moves less in a short time


def test_single_precision_is_enough():
    """Against double on the same normals: paths of 500 steps differ by less than 1e-3 of their size."""
    paths = []
    for dtype in (torch.float32, torch.float64):
        made = noise(0.8, processes=8, kind="type_ii")
        normals = torch.randn(500, 50, 1, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        made._normals = lambda *_, dtype=dtype, normals=normals, **__: normals.to(dtype)
        times = torch.linspace(0, 1, 501, dtype=torch.float64).view(-1, 1, 1)
        paths.append(made.increments(times, (50, 1), dtype=dtype).w.cumsum(0).double())
    assert (paths[0] - paths[1]).abs().max() < 1e-3


def test_it_drives_any_equation():
    """Geometric Brownian motion in log space is x0 exp(mu t - sigma^2 t / 2 + sigma B): pathwise, along the same path."""
    path = noise(0.7).increments(torch.linspace(0, 1, 65, dtype=torch.float64).view(-1, 1, 1), (200, 1))
    sde, z0, times = GeometricBrownian(0.3, 0.5), torch.ones(200, 1, dtype=torch.float64), torch.linspace(0, 1, 65).double()
    end = integrate(sde, LogEuler(), z0, times, FixedPath(path))[-1]
    exact = torch.exp(0.3 - 0.5**2 / 2 + 0.5 * path.w.sum(0))
    torch.testing.assert_close(end, exact)
    rough = integrate(sde, Milstein(), z0, times, FixedPath(path))[-1]
    assert (rough / exact - 1).abs().max() < 0.02  # the same limit
    ito = integrate(sde, EulerMaruyama(), z0, times, FixedPath(path))[-1]
    assert (ito / exact - 1).abs().mean() > 0.08  # control: the Itô sum goes elsewhere


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: noise(0.0), r"hurst is 0.0; give one number between 0 and 1"),
        (lambda: noise(1.2), r"hurst is 1.2"),
        (lambda: noise(0.99, learn=True), r"between 0.02 and 0.98"),
        (lambda: noise([0.3, 0.4], 3), r"give one number, or a list of 3 between 0 and 1"),
        (lambda: noise(kind="fbm"), r"kind is 'fbm'; choose type_i or type_ii"),
        (lambda: noise(processes=1), r"processes is 1; give a whole number of at least 2"),
        (lambda: check_plain(2.5, 1.0, True, False), r"processes is 2.5"),
        (lambda: check_plain(5, 0, True, False), r"speed is 0; give a positive number"),
        (lambda: check_plain(5, 1.0, "maybe", False), r"learn is maybe; give true or false"),
        (lambda: noise(horizon=0.0), r"horizon"),
        (lambda: noise(knots=3), r"defined for type II alone"),
        (lambda: noise(range=[1.0]), r"range is \[1.0\]; give the slowest and the fastest"),
        (lambda: noise(processes=60, kind="type_ii", range=[0.1, 10.0]), r"60"),
        (lambda: noise().increments(grid(0.0, 1.0), (3, 2)), r"holds 1 noises, but 2 were asked for"),
        (lambda: noise().increments(grid(0.0, 1.0), (3, 1), LevyArea.SPACE_TIME), r"SPACE_TIME areas"),
        (lambda: noise().spawn([2, 3]), r"FixedPath"),
    ],
)
def test_what_is_impossible_is_refused(build, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build()


def test_solvers_that_need_brownian_motion_are_refused():
    times, z0 = torch.linspace(0, 1, 5, dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64)
    with pytest.raises(ConfigError, match=r"EulerMaruyama takes the Itô integral, which FractionalBrownian has no limit of"):
        integrate(GeometricBrownian(0.3, 0.5), EulerMaruyama(), z0, times, noise())
    with pytest.raises(ConfigError, match=r"ShARK reads Lévy areas"):
        integrate(OrnsteinUhlenbeck(1.0, 0.0, 1.0), ShARK(), z0, times, noise())
    integrate(GeometricBrownian(0.3, 0.5), EulerMaruyama(), z0, times, Brownian())  # control
