"""Weights against integrals by quadrature, against 50-digit arithmetic, and against published and specified errors.

Every process here is an integral of a kernel over Brownian motion: with the lag v = t - u in the present (0 < u < t) and
v = -u in the past (type I), the Ornstein–Uhlenbeck and fractional kernels below define all covariances.
"""

import math
from decimal import Decimal

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy.special import gamma, gammaincc

from neuralsde.errors import ConfigError
from neuralsde.noise import fractional_weights
from neuralsde.noise.fractional_weights import (
    Fractional,
    condition_number,
    covariance,
    default_rates,
    exact_covariance,
    geometric_rates,
    relative_error,
    weights,
)

DOUBLE = torch.float64
TYPE_I, TYPE_II = Fractional
KINDS = pytest.mark.parametrize("kind", [TYPE_I, TYPE_II])
HURST = torch.arange(1, 10, dtype=DOUBLE) / 10
WIDE = torch.tensor([0.05, 0.1, 0.25, 0.5, 0.6, 0.75, 0.9, 0.95], dtype=DOUBLE)
RELEASED = geometric_rates(5, 1 / 20, 20.0)
mp.mp.dps = 50


def numbers(values):
    return torch.tensor(values, dtype=DOUBLE)


# Kernels and quadrature


def ornstein_uhlenbeck(rates):
    g = rates.numpy()[:, None, None]
    return lambda lag: np.exp(-g * lag), lambda t, v: np.expm1(-g * t) * np.exp(-g * v)


def fractional(hurst):
    a = hurst.numpy()[:, None, None] + 0.5
    return lambda lag: lag ** (a - 1) / gamma(a), lambda t, v: v ** (a - 1) * np.expm1((a - 1) * np.log1p(t / v)) / gamma(a)


def unit_interval(reach, step=0.25):
    """Nodes in (0, 1), dense at both ends, and weights: the trapezoidal rule after t = 1 / (1 + exp(-x)), x > -reach."""
    x = np.arange(-reach, 40, step)
    nodes = 1 / (1 + np.exp(-x))
    return nodes, step * nodes / (1 + np.exp(x))


def half_line(reach, step=0.25):
    """The same on (0, infinity) after v = exp(x), |x| < reach."""
    x = np.arange(-reach, reach, step)
    return np.exp(x), step * np.exp(x)


def cross_covariance(kind, left, right, s, t, reach=60):
    """E of (left at s) times (right at t), for arrays s <= t: shape (left, right, times)."""
    nodes, node_weights = unit_interval(reach)
    lag = s[:, None] * nodes
    found = np.einsum("itv,jtv,tv->ijt", left[0](lag), right[0](lag + (t - s)[:, None]), s[:, None] * node_weights)
    if kind is TYPE_II:
        return found
    v, v_weights = half_line(reach)
    return found + np.einsum("itv,jtv,v->ijt", left[1](s[:, None], v), right[1](t[:, None], v), v_weights)


def time_integral(kind, left, right, horizon):
    nodes, node_weights = unit_interval(60)
    t = horizon * nodes[node_weights > 1e-18]
    return cross_covariance(kind, left, right, t, t) @ (horizon * node_weights[node_weights > 1e-18])


def solved(kind, hurst, rates, horizon):
    """A and b by quadrature."""
    processes = ornstein_uhlenbeck(rates)
    gram = time_integral(kind, processes, processes, horizon)
    return numbers(gram), numbers(time_integral(kind, fractional(hurst), processes, horizon))


def against_integrals(kind, rates):
    """Largest differences of A and of b from the integrals, at T = 1, relative to the processes' size."""
    gram, target = solved(kind, WIDE, rates, 1.0)
    size = gram.diagonal().sqrt()
    a = ((fractional_weights._gram(rates, kind) - gram) / (size[:, None] * size)).abs().max()
    return a, lambda hurst: ((fractional_weights._target(hurst, rates, kind) - target) / size).abs().max()


@KINDS
@pytest.mark.parametrize("count", [2, 5, 12])
def test_a_and_b_are_the_integrals_that_define_them(kind, count):
    for rates in (geometric_rates(count, 0.05, 20.0), default_rates(kind, count)):
        a, b = against_integrals(kind, rates)
        assert a < 1e-10
        assert b(WIDE) < 1e-10
        assert b(WIDE + 1e-8) > 1e-10  # control: an error in H of 1e-8 is seen


@KINDS
def test_weights_for_another_horizon_solve_the_equations_of_that_horizon(kind):
    horizon, hurst = 2.5, WIDE
    rates = geometric_rates(4, 0.05, 20.0)
    gram, target = solved(kind, hurst, rates, horizon)
    residual = weights(hurst, rates, horizon, kind, "none") @ gram - target
    assert residual.abs().max() < 1e-9 * target.abs().max()
    residual = weights(hurst, rates, 2.51, kind, "none") @ gram - target
    assert residual.abs().max() > 1e-5 * target.abs().max()  # control


# 50 digits


def exact_gram(kind, x, y):
    total = x + y
    if kind is TYPE_I:
        return (2 + mp.expm1(-x) / x + mp.expm1(-y) / y) / total
    return (1 + mp.expm1(-total) / total) / total


def exact_target(kind, h, z):
    """b at T = 1 by the direct formula, whose cancellation 50 digits outlast."""
    a = h + mp.mpf(1) / 2
    if kind is TYPE_I:
        upper = mp.gammainc(a, z, regularized=True)
        return 2 / z**a - 1 / (z * mp.gamma(a + 1)) + (mp.exp(-z) - upper * mp.exp(z)) / z ** (a + 1)
    lower = [mp.gammainc(b, 0, z, regularized=True) for b in (a, a + 1)]
    return lower[0] / z**a - a * lower[1] / z ** (a + 1)


def exact_variance(kind, h):
    if kind is TYPE_I:
        return 1 / (mp.gamma(2 * h + 1) * mp.sin(mp.pi * h))
    return 1 / (2 * h * mp.gamma(h + mp.mpf(1) / 2) ** 2)


def exact_system(kind, hurst, rates):
    z, h = [mp.mpf(x) for x in rates.tolist()], mp.mpf(hurst)
    gram = mp.matrix([[exact_gram(kind, x, y) for y in z] for x in z])
    return gram, mp.matrix([exact_target(kind, h, x) for x in z]), exact_variance(kind, h) / (2 * h + 1)


def direct_target_i(h, z):
    """The direct formula for type I in float64."""
    a = h + 0.5
    return 2 / z**a - 1 / (z * gamma(a + 1)) + (math.exp(-z) - gammaincc(a, z) * math.exp(z)) / z ** (a + 1)


@KINDS
def test_stable_formulas_keep_all_digits(kind):
    """Errors relative to |b| plus the size of its largest term, since b of type I crosses zero."""
    z = [1.5e-6, 1e-3, 0.5, 2.0, 2.999, 3.001, 5.0, 12.0, 39.99, 40.01, 100.0, 1e4, 1.5e6]
    found = fractional_weights._target(WIDE, numbers(z), kind)
    for i, h in enumerate(WIDE.tolist()):
        for j, x in enumerate(z):
            exact = exact_target(kind, mp.mpf(h), mp.mpf(x))
            scale = abs(exact) + min(1, mp.mpf(x) ** -(h + 0.5))
            assert abs(found[i, j].item() - exact) < 1e-14 * scale, (h, x)
    gram = fractional_weights._gram(numbers(z), kind)
    for i, x in enumerate(z):
        for j, y in enumerate(z):
            assert abs(gram[i, j].item() / exact_gram(kind, mp.mpf(x), mp.mpf(y)) - 1) < 1e-13


def test_the_direct_formula_would_lose_them():
    """Control: its error at gamma T = 1.5e-6 and H = .9 is 5 %."""
    exact = float(exact_target(TYPE_I, mp.mpf(0.9), mp.mpf(1.5e-6)))
    assert abs(direct_target_i(0.9, 1.5e-6) / exact - 1) > 0.03
    assert abs(fractional_weights._target(numbers([0.9]), numbers([1.5e-6]), TYPE_I).item() / exact - 1) < 1e-14


def judge(kind, hurst, rates, omega):
    """|A w - b| / (|A| |w|), and by how much the relative mean squared error exceeds the least, both in 50 digits."""
    gram, target, power = exact_system(kind, hurst, rates)
    w = mp.matrix(omega.tolist())
    residual = mp.norm(gram * w - target) / (mp.mnorm(gram, 2 if len(w) == 1 else "f") * mp.norm(w))
    least = 1 - mp.fdot(target, mp.lu_solve(gram, target)) / power
    return residual, 1 + (mp.fdot(w, gram * w) - 2 * mp.fdot(target, w)) / power - least, least


GRIDS = [
    (TYPE_I, RELEASED),
    (TYPE_II, RELEASED),
    (TYPE_I, geometric_rates(12, 0.05, 20.0)),
    (TYPE_II, geometric_rates(7, 0.1, 40.0)),
    (TYPE_II, geometric_rates(8, 1e-2, 1e3)),
    *((kind, default_rates(kind, count)) for kind in Fractional for count in (5, 8, 12)),
]


@pytest.mark.parametrize(("kind", "rates"), GRIDS)
def test_weights_solve_their_equations_and_reach_the_least_error(kind, rates):
    for hurst in numbers([0.05, 0.3, 0.5, 0.95]):
        residual, excess, least = judge(kind, hurst.item(), rates, weights(hurst, rates, 1.0, kind, "none"))
        assert residual < 1e-12
        assert excess < 1e-12
        # b' w is not stationary in w: rounding times the condition number times the weights remains.
        assert abs(relative_error(hurst, rates, 1.0, kind).item() - least) < 1e-8


def test_a_solution_in_float32_would_not():
    """Control: the released code's; at H = .1, type II, a weight of 140 becomes 152 or so."""
    gram = fractional_weights._gram(RELEASED, TYPE_II).float()
    target = fractional_weights._target(numbers(0.1), RELEASED, TYPE_II).float()
    residual, excess, _ = judge(TYPE_II, 0.1, RELEASED, torch.linalg.solve(gram, target))
    assert residual > 1e-10
    assert excess > 1e-9


# The specified tables. Entries are strings: some are stated with one digit, and then its rounding is allowed for.

RELEASED_ERRORS = [
    (TYPE_I, 5, 1.0, ".307 .080 .017 .0055 .013 .037 .098 .234 .510"),
    (TYPE_II, 5, 1.0, ".229 .047 .0078 7.2e-4 1.7e-11 9.5e-5 1.3e-4 1.0e-4 5.9e-5"),
    (TYPE_I, 3, 2.0, ".269 .061 .0135 .011 .031 .080 .183 .364 .642"),
]
# type, K, range, errors, largest weight (unit of section 3), condition number of A
GRID_TABLE = [
    (TYPE_I, 5, (1e-6, 1e2), ".24 .066 .020 4.2e-3 3e-7 3.2e-3 .012 .029 .11", "67", "2e5"),
    (TYPE_I, 8, (1e-6, 1e3), ".14 .019 2.9e-3 4.5e-4 3e-7 4.1e-4 1.7e-3 6.8e-3 .069", "118", "2e6"),
    (TYPE_I, 12, (1e-6, 1e5), ".057 3.1e-3 3.5e-4 7e-5 3e-7 8e-5 4e-4 3.9e-3 .063", "153", "7e6"),
    (TYPE_II, 5, (1e-1, 1e6), ".042 7.5e-3 2.2e-3 4e-4 1.3e-4 6e-4 2e-3 4.7e-3 9.4e-3", "358", "1e6"),
    (TYPE_II, 8, (1e-1, 1e8), ".013 1.2e-3 4e-4 1e-4 2e-5 2e-5 4e-5 9e-5 2.5e-4", "2e3", "2e8"),
    (TYPE_II, 8, (1e-2, 1e3), ".11 .011 8.6e-4 4e-5 0 1e-6 8e-7 4e-7 2e-7", "2e3", "1e11"),
]
# type, K, range at T = 1, errors by H: further values of the section
SCATTERED = [
    (TYPE_I, 10, (2 / 20, 2 * 20.0), {0.1: ".248", 0.9: ".525"}),
    (TYPE_I, 5, (6 / 20, 6 * 20.0), {0.7: ".273", 0.8: ".462", 0.9: ".713"}),
    (TYPE_I, 5, (2 / 10, 2 * 10.0), {0.1: ".302", 0.3: ".021", 0.7: ".202", 0.9: ".644"}),
    (TYPE_I, 5, (1.0, 1e6), {0.1: ".049"}),
    (TYPE_I, 5, (0.03, 3e3), {0.3: "2.7e-3"}),
    (TYPE_I, 5, (1e-4, 20.0), {0.7: "4.9e-3"}),
    (TYPE_I, 5, (1e-6, 20.0), {0.9: ".097"}),
]


def agrees(found, stated):
    """Within 10 % or the rounding of the last digit; what is stated as nothing has only to be below 1e-9."""
    value, unit = float(stated), 10.0 ** Decimal(stated).as_tuple().exponent
    return found < 1e-9 if value < 1e-9 else abs(found - value) <= max(0.1 * value, 0.51 * unit)


def all_agree(found, row):
    return [agrees(x, stated) for x, stated in zip(found.tolist(), row.split(), strict=True)]


@pytest.mark.parametrize(("kind", "count", "horizon", "row"), RELEASED_ERRORS)
def test_errors_of_the_released_grid(kind, count, horizon, row):
    rates = geometric_rates(count, 1 / 20, 20.0)
    assert all(all_agree(relative_error(HURST, rates, horizon, kind), row))
    wrong = relative_error(HURST, rates, 1.5 * horizon, kind)
    assert not all(all_agree(wrong, row))  # control


@pytest.mark.parametrize(("kind", "count", "bounds", "row", "largest", "condition"), GRID_TABLE)
def test_errors_weights_and_condition_numbers_of_other_grids(kind, count, bounds, row, largest, condition):
    rates = geometric_rates(count, *bounds)
    assert all(all_agree(relative_error(HURST, rates, 1.0, kind), row))
    assert agrees(weights(HURST, rates, 1.0, kind, "none").abs().max().item(), largest)
    assert agrees(torch.linalg.cond(fractional_weights._gram(rates, kind)).item(), condition)
    wrong = relative_error(HURST, geometric_rates(count, bounds[0], bounds[1] / 2), 1.0, kind)
    assert not all(all_agree(wrong, row))  # control


@pytest.mark.parametrize(("kind", "count", "bounds", "errors"), SCATTERED)
def test_further_errors_of_the_specification(kind, count, bounds, errors):
    found = relative_error(numbers(list(errors)), geometric_rates(count, *bounds), 1.0, kind)
    assert all(agrees(x, stated) for x, stated in zip(found.tolist(), errors.values(), strict=True))


def test_the_released_grid_loses_variance_at_long_times():
    """Type I, H = .9, weights for a horizon of 6, at t = .1 ... 6; the target's is 1.93."""
    t = numbers([0.1, 0.5, 1.0, 2.0, 6.0])
    omega = weights(numbers(0.9), RELEASED, 6.0, TYPE_I, "none")
    assert all(all_agree(covariance(TYPE_I, omega, RELEASED, t, t) / t**1.8, ".78 .81 .72 .63 .51"))


# Derivatives, scaling and normalisations


@KINDS
@pytest.mark.parametrize("normalize", ["unit", "none", "empirical"])
def test_derivatives_in_hurst_are_those_of_differences(kind, normalize):
    rates, step = default_rates(kind, 8, 2.0), 1e-5
    hurst = WIDE.clone().requires_grad_()
    slope = torch.autograd.functional.jacobian(lambda h: weights(h, rates, 2.0, kind, normalize).T, hurst).sum(-1).T
    ends = [weights(WIDE + sign * step, rates, 2.0, kind, normalize) for sign in (1, -1)]
    difference = (ends[0] - ends[1]) / (2 * step)
    size = difference.abs().amax(-1, keepdim=True)
    assert ((slope - difference) / size).abs().max() < 1e-6
    assert ((1.0001 * slope - difference) / size).abs().max() > 1e-6  # control


@KINDS
def test_derivatives_are_finite_for_any_rate(kind):
    """Both branches of every formula are computed for every rate: none may overflow where the other is used."""
    hurst = numbers([1e-3, 0.05, 0.5, 0.95, 0.999]).requires_grad_()
    rates = geometric_rates(8, 1e-12, 1e14)
    (slope,) = torch.autograd.grad(fractional_weights._target(hurst, rates, kind).sum(), hurst)
    assert slope.isfinite().all()
    (slope,) = torch.autograd.grad(relative_error(hurst, default_rates(kind, 8), 1.0, kind).sum(), hurst)
    assert slope.isfinite().all()


@KINDS
@pytest.mark.parametrize("normalize", ["unit", "none", "empirical"])
def test_weights_scale_with_the_horizon(kind, normalize):
    """omega(T) = T^(H - 1/2) omega(1) at the same gamma T; the error depends on gamma T alone."""
    short, long = (weights(HURST, default_rates(kind, 5, horizon), horizon, kind, normalize) for horizon in (1.0, 7.0))
    torch.testing.assert_close(long, 7.0 ** (HURST[:, None] - 0.5) * short, rtol=1e-9, atol=0)
    errors = [relative_error(HURST, default_rates(kind, 5, horizon), horizon, kind) for horizon in (1.0, 7.0)]
    torch.testing.assert_close(*errors, rtol=1e-9, atol=1e-13)


def test_weights_of_brownian_motion_sum_to_one():
    half = numbers(0.5)
    assert abs(weights(half, RELEASED, 1.0, TYPE_I).sum() - 1) < 1e-12
    assert abs(weights(half, RELEASED, 1.0, TYPE_II).sum() - 1) < 1e-4
    assert abs(weights(numbers(0.51), RELEASED, 1.0, TYPE_I).sum() - 1) > 1e-2  # control


@KINDS
def test_what_the_normalizations_mean(kind):
    """V_H as stated in section 4 (type I), and a variance of T^2H at T for "empirical"."""
    horizon, rates = 3.0, default_rates(kind, 5, 3.0)
    released, unit, empirical = (weights(HURST, rates, horizon, kind, n) for n in ("none", "unit", "empirical"))
    variance = (released / unit)[:, 0] ** 2
    if kind is TYPE_I:
        stated = numbers([3.524, 1.383, 1.0, 0.995, 1.930])
        torch.testing.assert_close(variance[::2], stated, rtol=1e-3, atol=0)
    else:
        torch.testing.assert_close(variance, 1 / (2 * HURST * torch.lgamma(HURST + 0.5).exp() ** 2))
    end = numbers(horizon)
    torch.testing.assert_close(covariance(kind, empirical, rates, end, end), horizon ** (2 * HURST))
    lost = 1 - covariance(kind, unit, rates, end, end) / horizon ** (2 * HURST)
    assert lost.abs().max() > 1e-2  # control: without rescaling the approximation misses it


# Covariances


@KINDS
def test_covariance_of_the_approximation_is_that_of_its_kernel(kind):
    rates = default_rates(kind, 5)
    omega = weights(HURST[:, None], rates, 1.0, kind)[:, 0]
    s, t = numbers([1e-3, 0.2, 0.7, 1.0]), numbers([0.4, 0.5, 0.7, 1.3])
    processes = ornstein_uhlenbeck(rates)
    pairs = numbers(cross_covariance(kind, processes, processes, s.numpy(), t.numpy()))
    expected = torch.einsum("hi,hj,ijt->ht", omega, omega, pairs)
    found = covariance(kind, omega, rates, s, t)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(covariance(kind, omega, rates, t, s), found, rtol=0, atol=0)
    assert (covariance(kind, omega, rates, torch.zeros_like(t), t) == 0).all()
    other = covariance(TYPE_II if kind is TYPE_I else TYPE_I, omega, rates, s, t)
    assert ((other - expected) / expected).abs().max() > 0.1  # control


@KINDS
def test_covariance_of_fractional_brownian_motion_is_that_of_its_kernel(kind):
    s, t = numbers([1e-3, 0.2, 0.7, 1.0]), numbers([0.4, 0.5, 0.7, 1.3])
    process = fractional(WIDE)
    # At H = .05 the integrand falls as v^.1 towards zero, at H = .95 as v^-.1 towards infinity.
    pairs = numbers(cross_covariance(kind, process, process, s.numpy(), t.numpy(), reach=300)).diagonal().T
    variance = numbers([float(exact_variance(kind, mp.mpf(h))) for h in WIDE.tolist()])
    found = exact_covariance(kind, WIDE, s, t)
    torch.testing.assert_close(found, pairs / variance[:, None], rtol=1e-8, atol=0)
    torch.testing.assert_close(exact_covariance(kind, WIDE, t, s), found, rtol=0, atol=0)
    torch.testing.assert_close(exact_covariance(kind, WIDE, t, t), t ** (2 * WIDE[:, None]))
    zero = numbers([0.0, 0.0])
    assert (exact_covariance(kind, WIDE, zero, numbers([0.0, 1.0])) == 0).all()
    # Control: apart from H = 1/2, where both types are Brownian motion, they differ.
    other = exact_covariance(TYPE_II if kind is TYPE_I else TYPE_I, WIDE[WIDE != 0.5], s, t)
    assert ((other / found[WIDE != 0.5])[:, 1] - 1).abs().min() > 1e-2


def test_covariance_matrices_have_the_shape_of_hurst_and_times():
    t = torch.linspace(0.1, 1.0, 6, dtype=DOUBLE)
    rates = default_rates(TYPE_I, 8)
    omega = weights(HURST.reshape(3, 3), rates, 1.0, TYPE_I)
    found, exact = covariance(TYPE_I, omega, rates, t[:, None], t), exact_covariance(TYPE_I, HURST.reshape(3, 3), t[:, None], t)
    assert found.shape == exact.shape == (3, 3, 6, 6)
    assert torch.linalg.eigvalsh(found).min() > 0
    assert (found - exact).abs().amax((-1, -2)).flatten()[3:7].max() < 0.02


# Rates


@KINDS
def test_the_grid_that_does_not_move_with_hurst_beats_the_released_one_at_the_same_cost(kind):
    """At least 1.9 times everywhere but at H = 1/2, where both errors are negligible."""
    hurst = HURST[HURST != 0.5]
    gain = relative_error(hurst, RELEASED, 1.0, kind) / relative_error(hurst, default_rates(kind, 5), 1.0, kind)
    assert gain.min() > (2.1 if kind is TYPE_I else 3.0)
    assert relative_error(numbers(0.5), default_rates(kind, 5), 1.0, kind) < 2e-4
    # Control: the specification's range for type I does not reach it.
    gain = relative_error(hurst, RELEASED, 1.0, TYPE_I) / relative_error(hurst, geometric_rates(5, 1e-6, 1e2), 1.0, TYPE_I)
    assert gain.min() < 1


@KINDS
def test_a_range_chosen_for_the_hurst_index_beats_the_released_one_five_times(kind):
    for hurst in HURST[HURST != 0.5]:
        chosen = relative_error(hurst, default_rates(kind, 5, hurst=hurst.item()), 1.0, kind)
        assert relative_error(hurst, RELEASED, 1.0, kind) > 5 * chosen


@KINDS
@pytest.mark.parametrize("count", [3, 4, 5, 6, 8, 10, 12])
def test_ranges_between_the_tabulated_ones_serve_too(kind, count):
    """A range for an H between the knots is no worse than the range for all H; weights stay fit for float32."""
    for hurst in numbers([0.07, 0.15, 0.25, 0.65, 0.85, 0.92]):
        chosen = default_rates(kind, count, hurst=hurst.item())
        assert relative_error(hurst, chosen, 1.0, kind) < 1.2 * relative_error(hurst, default_rates(kind, count), 1.0, kind)
        assert weights(hurst, chosen, 1.0, kind).abs().max() < 4e3
        assert condition_number(chosen, 1.0, kind) < 1e12
    assert weights(WIDE[1:], default_rates(kind, count), 1.0, kind).abs().max() < 3e3


@KINDS
def test_counts_and_indices_beyond_the_table_take_the_nearest_entry(kind):
    for hurst in (None, 0.3):
        torch.testing.assert_close(default_rates(kind, 14, hurst=hurst)[[0, -1]], default_rates(kind, 12, hurst=hurst)[[0, -1]])
        torch.testing.assert_close(default_rates(kind, 2, hurst=hurst), default_rates(kind, 3, hurst=hurst)[[0, -1]])
    torch.testing.assert_close(default_rates(kind, 5, hurst=0.01), default_rates(kind, 5, hurst=0.05))


def test_rates_are_geometric_and_scale_with_the_horizon():
    rates = geometric_rates(5, 1 / 20, 20.0, 2.0)
    torch.testing.assert_close(rates, numbers([0.05, 0.2236068, 1.0, 4.472136, 20.0]) / 2)
    torch.testing.assert_close(default_rates(TYPE_II, 5, 10.0), default_rates(TYPE_II, 5) / 10)


# Batches and bad input


@KINDS
def test_a_batch_is_its_elements_and_float64_whatever_the_dtype(kind):
    hurst = torch.rand(100, 8, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    omega = weights(hurst, default_rates(kind, 8), 1.0, kind)
    assert omega.dtype is DOUBLE
    assert omega.shape == (100, 8, 8)
    alone = weights(hurst[41, 3], default_rates(kind, 8), 1.0, kind)
    torch.testing.assert_close(omega[41, 3], alone, rtol=1e-9, atol=1e-9 * alone.abs().max().item())
    one = weights(numbers(0.7), numbers([1.0]), 1.0, kind)
    assert one.shape == (1,)


@pytest.mark.parametrize("hurst", [0.0, 1.0, -0.2, math.nan])
def test_an_impossible_hurst_index_is_named(hurst):
    indices = numbers([0.3, hurst])
    for function in (weights, relative_error):
        with pytest.raises(ConfigError, match=f"Hurst index is {hurst}"):
            function(indices, RELEASED, 1.0, TYPE_I)
    with pytest.raises(ConfigError, match=f"Hurst index is {hurst}"):
        exact_covariance(TYPE_I, indices, numbers(1.0), numbers(1.0))
    with pytest.raises(ConfigError, match="Hurst index is"):
        default_rates(TYPE_I, 5, hurst=hurst)


def test_too_many_rates_for_float64_are_refused():
    with pytest.raises(ConfigError, match=r"12 rates has condition number .*e\+1[6-9].*fewer rates"):
        weights(numbers(0.3), geometric_rates(12, 0.1, 40.0), 1.0, TYPE_II)
    with pytest.raises(ConfigError, match="spread them further apart"):
        weights(numbers(0.3), numbers([1.0, 1.0, 2.0]), 1.0, TYPE_I)


def test_other_impossible_settings_are_refused():
    for arguments, sentence in [
        ((1, 0.1, 1.0), "one point"),
        ((3, 0.0, 1.0), "slowest=0.0"),
        ((3, 2.0, 1.0), "fastest=1.0"),
        ((3, 0.1, 1.0, math.inf), "horizon"),
        ((3, 0.1, 1.0, 0.0), "horizon"),
    ]:
        with pytest.raises(ConfigError, match=sentence):
            geometric_rates(*arguments)
    with pytest.raises(ConfigError, match=r"normalize='variance'.*unit"):
        weights(numbers(0.3), RELEASED, 1.0, TYPE_I, "variance")
    with pytest.raises(ConfigError, match=r"horizon of the weights is -1\.0"):
        weights(numbers(0.3), RELEASED, -1.0, TYPE_I)
    with pytest.raises(ConfigError, match="positive and finite"):
        weights(numbers(0.3), numbers([0.0, 1.0]), 1.0, TYPE_I)
