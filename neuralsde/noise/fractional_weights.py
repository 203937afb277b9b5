r"""Weights that make a sum of Ornstein–Uhlenbeck processes, all driven by one Brownian motion, fractional Brownian motion.

With rates $\gamma_k > 0$ and $dY_k = -\gamma_k Y_k\,dt + dW$ the approximation on $[0, T]$ is

$$\hat B(t) = \sum_k \omega_k (Y_k(t) - Y_k(0)), \quad Y(0) \sim N\Bigl(0, \frac1{\gamma_i+\gamma_j}\Bigr) \quad\text{(type I)},
\qquad \hat B(t) = \sum_k \omega_k Y_k(t), \quad Y(0) = 0 \quad\text{(type II)},$$

and $\omega = A^{-1} b$ minimises $\int_0^T E(\hat B - B_H)^2 dt$. $A$ depends on the rates alone, so it is factored once for
all Hurst indices. Everything is computed at $T = 1$, in float64, by formulas without cancellation, and scaled.

Reference: Daems, Opper, Crevecoeur, Birdal, "Variational Inference for SDEs Driven by Fractional Noise",
arXiv 2310.12975. The stable forms of $b$ are our own; the direct one of type I is 5 % off at $\gamma T = 1.5e-6$, $H = .9$.
"""

import enum
import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import RegularGridInterpolator
from scipy.special import hyp2f1
from torch import Tensor

from neuralsde.errors import ConfigError

DOUBLE = torch.float64
NORMALIZATIONS = "unit", "none", "empirical"
SPLIT_I, TERMS_I, FRACTION = 3.0, 39, 36  # series below this gamma T, its terms; levels of the continued fraction above
SPLIT_II, TERMS_II = 40.0, 128  # series below this gamma T, its terms; above, exp(-gamma T) < 1e-17 is neglected
CONDITION_LIMIT = 1e13  # of A scaled to a unit diagonal; beyond, weights run to 1e5 and more, of either sign


class Fractional(enum.Enum):
    """Which fractional Brownian motion: they differ in what happened before time zero."""

    TYPE_I = "type_i"  # Mandelbrot–Van Ness: stationary increments, a past without end
    TYPE_II = "type_ii"  # Riemann–Liouville: starts at time zero


# (slowest, fastest) rate in units of 1 / horizon by number of rates, found by `python -m benchmarks.fractional_error --search`.
# One range per type: over H = .1 ... .9 without .5, the largest ratio of the error to that of the released grid is least.
RANGES: dict[Fractional, dict[int, tuple[float, float]]] = {
    Fractional.TYPE_I: {
        3: (0.0173, 38.0), 4: (0.00113, 351.0), 5: (0.00042, 1.29e3), 6: (5.87e-5, 9.32e3), 7: (2.71e-5, 2.41e4),
        8: (5.1e-6, 1.3e5), 9: (2.58e-6, 2.9e5), 10: (5.9e-7, 1.29e6), 11: (3.11e-7, 2.64e6), 12: (8.24e-8, 1.02e7),
    },
    Fractional.TYPE_II: {
        3: (0.0661, 27.9), 4: (0.0668, 502.0), 5: (0.0674, 6.8e3), 6: (0.0675, 7.9e4), 7: (0.0669, 6.42e5),
        8: (0.0668, 8.1e6), 9: (0.00794, 4.14e6), 10: (0.0114, 2.24e7), 11: (0.0154, 1.1e8), 12: (0.0197, 4.92e8),
    },
}  # fmt: skip
# A range per H: the error is least. Limits in both: weights below 3000, condition below 1e11, rates above 1e-8.
HURST_KNOTS = 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95  # at 1/2 the error vanishes for any rates near zero
HURST_RANGES: dict[Fractional, dict[int, tuple[tuple[float, float], ...]]] = {
    Fractional.TYPE_I: {
        3: (
            (4.89, 3.65e5), (1.77, 1.49e4), (0.346, 720.0), (0.0924, 169.0), (0.0125, 18.9),
            (0.000376, 2.66), (0.000257, 1.66), (5.83e-5, 0.825), (2.33e-6, 0.256), (6.36e-8, 0.078),
        ),
        5: (
            (2.37, 1.56e8), (0.824, 2.9e6), (0.174, 4.11e4), (0.0207, 1.57e3), (0.00266, 175.0),
            (0.000103, 20.1), (4.08e-5, 7.41), (4.07e-6, 2.64), (3.19e-8, 0.743), (1e-8, 0.406),
        ),
        8: (
            (0.551, 2.11e8), (0.396, 1.24e9), (0.0408, 1.34e6), (0.0062, 3.67e4), (0.000526, 2.59e3),
            (1.04e-5, 113.0), (1.6e-6, 27.0), (9.35e-8, 10.3), (1e-8, 3.41), (1e-8, 2.01),
        ),
        12: (
            (0.0135, 2.16e8), (0.0663, 1.42e9), (0.0149, 8.8e7), (0.00179, 1.02e6), (0.000101, 3.35e4),
            (7.63e-7, 587.0), (8.99e-8, 144.0), (1e-8, 45.9), (1e-8, 12.1), (1e-8, 4.55),
        ),
    },
    Fractional.TYPE_II: {
        3: (
            (3.42, 3.13e5), (2.02, 2.3e4), (0.975, 2.46e3), (0.497, 1.03e3), (0.224, 1.39e3),
            (0.0844, 47.0), (0.0887, 36.9), (0.0801, 29.4), (0.0664, 24.0), (0.0586, 21.8),
        ),
        5: (
            (2.27, 8.56e7), (1.48, 7.71e6), (0.698, 3.08e5), (0.0911, 5.68e3), (0.0828, 2.07e3),
            (0.0141, 277.0), (0.0175, 199.0), (0.0205, 151.0), (0.0229, 119.0), (0.0238, 107.0),
        ),
        8: (
            (1.03, 1.15e8), (0.942, 7.42e8), (0.149, 4.76e6), (0.165, 3.76e5), (0.139, 7.96e4),
            (0.0852, 8.5e3), (0.0969, 4.73e3), (0.099, 2.97e3), (0.0936, 2.09e3), (0.0887, 1.83e3),
        ),
        12: (
            (0.00589, 1.16e8), (0.264, 7.95e8), (0.221, 7.38e8), (0.209, 2.69e7), (0.063, 1.51e6),
            (0.112, 2.96e5), (0.0588, 5.11e4), (0.07, 2.89e4), (0.0801, 1.76e4), (0.0837, 1.4e4),
        ),
    },
}  # fmt: skip


def geometric_rates(count: int, slowest: float, fastest: float, horizon: float = 1.0) -> Float[Tensor, "rates"]:
    r"""Rates in geometric progression, $\gamma_k = \frac{s}{T} (f/s)^{(k-1)/(K-1)}$, in float64.

    Args:
        count: number of rates $K$, at least two.
        slowest: first rate $s$, in units of $1/T$.
        fastest: last rate $f$, in units of $1/T$.
        horizon: $T$, in the unit of time of the result.

    Raises:
        ConfigError: `count` is below two, the rates do not grow from above zero, or `horizon` is not a positive number.
    """
    if count < 2:
        raise ConfigError(f"A grid of one point has no range: geometric_rates got count={count}, give at least 2 rates.")
    if not 0 < slowest < fastest < math.inf:
        raise ConfigError(f"Rates grow from slowest={slowest} to fastest={fastest}: give 0 < slowest < fastest.")
    _check_horizon(horizon)
    return torch.logspace(math.log10(slowest), math.log10(fastest), count, dtype=DOUBLE) / horizon


def default_rates(kind: Fractional, count: int, horizon: float = 1.0, hurst: float | None = None) -> Float[Tensor, "rates"]:
    r"""Rates in geometric progression over a measured range: one that serves all $H$, or the best one for a given $H$.

    Relative mean squared errors (`relative_error`); "released" are five rates from $.05/T$ to $20/T$:

    ======= ================ ======= ======= ======= ======= ======= =======
    type    rates            H = .1  .2      .3      .7      .8      .9
    ======= ================ ======= ======= ======= ======= ======= =======
    type I  released         .31     .080    .017    .098    .23     .51
    type I  5, for all $H$   .14     .026    7.8e-3  .013    .054    .24
    type I  5, for that $H$  .047    8.7e-3  2.5e-3  4.3e-3  .015    .068
    type I  8, for all $H$   .062    8.9e-3  3.3e-3  4.5e-3  .015    .10
    type II released         .23     .047    7.8e-3  1.3e-4  1.0e-4  5.9e-5
    type II 5, for all $H$   .076    5.6e-3  4.9e-4  2.5e-5  2.8e-5  2.0e-5
    type II 5, for that $H$  .029    2.7e-3  4.8e-4  8.7e-6  6.4e-6  3.7e-6
    type II 8, for all $H$   .019    7.4e-4  1.4e-4  1.1e-5  1.1e-5  8.0e-6
    ======= ================ ======= ======= ======= ======= ======= =======

    The fastest rates reach $10^3/T$ to $10^9/T$: step them by their exact transitions, since explicit schemes need
    $\gamma\,\Delta t < 1/2$. Ranges for all $H$ are tabulated for 3 to 12 rates, ranges per $H$ for 3, 5, 8 and 12 rates
    and $H$ from .05 to .95, interpolated in between; outside the nearest entry serves.

    Args:
        kind: type of fractional Brownian motion.
        count: number of rates, at least two.
        horizon: $T$, in the unit of time of the result.
        hurst: the Hurst index, if it is fixed; None if it is learned or varies.

    Raises:
        ConfigError: `count` is below two, `horizon` is not a positive number, or `hurst` lies outside (0, 1).
    """
    if hurst is not None:
        _check_hurst(torch.tensor(hurst))
        return geometric_rates(count, *_interpolated(HURST_RANGES[kind], count, hurst), horizon)
    table = RANGES[kind]
    return geometric_rates(count, *table[min(max(count, min(table)), max(table))], horizon)


def _interpolated(table: dict[int, tuple[tuple[float, float], ...]], count: int, hurst: float) -> tuple[float, float]:
    """Range at a number of rates and an H: linear between the knots in the logarithms of the bounds."""
    counts = np.array(list(table))
    logs = RegularGridInterpolator((counts, HURST_KNOTS), np.log(list(table.values())))
    point = np.clip(count, counts[0], counts[-1]), np.clip(hurst, HURST_KNOTS[0], HURST_KNOTS[-1])
    slowest, fastest = np.exp(logs(point)).ravel().tolist()
    return slowest, fastest


def weights(
    hurst: Float[Tensor, "*hurst"],
    rates: Float[Tensor, "rates"],
    horizon: float,
    kind: Fractional,
    normalize: str = "unit",
) -> Float[Tensor, "*hurst rates"]:
    r"""The weights $\omega = A^{-1} b$ that minimise $\int_0^T E(\hat B - B_H)^2 dt$, in float64, differentiable in $H$.

    The released method's target has variance $V_H t^{2H}$ with $V_H = 1/(\Gamma(2H+1) \sin \pi H)$ (type I) or
    $V_H = 1/(2H\,\Gamma(H+\frac12)^2)$ (type II), so its scale moves with $H$: $V_{.1} = 3.5$ for type I. `normalize`
    says what the weights approximate, and thereby what a learned $H$ means beside a learned diffusion:

    * `"unit"`: $B_H / \sqrt{V_H}$, of variance $t^{2H}$;
    * `"none"`: $B_H$, as released;
    * `"empirical"`: weights rescaled until $\hat B$ itself has variance $T^{2H}$ at $T$.

    $A$ is scaled to a unit diagonal and factored by Cholesky, without a ridge: $|A\omega - b|$ stays at rounding. Beyond a
    condition number of 1e13 weights of 1e5 and more, of either sign, would mean nothing in float32: an error.

    Args:
        hurst: Hurst indices $H$ in (0, 1), of any dtype.
        rates: mean reversion rates $\gamma_k$, per unit time.
        horizon: $T$, the time over which the error is averaged.
        kind: type of fractional Brownian motion.
        normalize: `"unit"`, `"none"` or `"empirical"`.

    Raises:
        ConfigError: an $H$ outside (0, 1), rates that are not positive or too close together for float64, an impossible
            horizon, or an unknown `normalize`.
    """
    if normalize not in NORMALIZATIONS:
        raise ConfigError(f"Weights got normalize={normalize!r}: give one of {', '.join(NORMALIZATIONS)}.")
    h, z = _checked(hurst, rates, horizon)
    omega = _solve(_gram(z, kind), _target(h, z, kind))
    if normalize == "unit":
        omega = omega / _variance(h, kind).sqrt()[..., None]
    if normalize == "empirical":
        end = torch.ones((), dtype=DOUBLE, device=z.device)
        omega = omega / covariance(kind, omega, z, end, end).sqrt()[..., None]
    return omega * horizon ** (h[..., None] - 0.5)


def relative_error(
    hurst: Float[Tensor, "*hurst"], rates: Float[Tensor, "rates"], horizon: float, kind: Fractional
) -> Float[Tensor, "*hurst"]:
    r"""Share of $\int_0^T E B_H^2\,dt$ that the best weights leave as error: $1 - b^\top A^{-1} b / c$, from 0 to 1.

    Here $c = \int_0^T E B_H^2\,dt = V_H T^{2H+1} / (2H+1)$ with $V_H$ as in `weights`; the result depends on the rates
    only through $\gamma T$. Rounding moves it by about 1e-13, and by up to 1e-6 at condition numbers near 1e13.

    Args:
        hurst: Hurst indices $H$ in (0, 1).
        rates: mean reversion rates $\gamma_k$, per unit time.
        horizon: $T$.
        kind: type of fractional Brownian motion.

    Raises:
        ConfigError: as `weights`.
    """
    h, z = _checked(hurst, rates, horizon)
    b = _target(h, z, kind)
    explained = (b * _solve(_gram(z, kind), b)).sum(-1)
    return (1 - explained * (2 * h + 1) / _variance(h, kind)).clamp(min=0)


def condition_number(rates: Float[Tensor, "rates"], horizon: float, kind: Fractional) -> float:
    r"""Condition number of $A$ scaled to a unit diagonal, which the solve for the weights sees; `weights` refuses 1e13.

    Args:
        rates: mean reversion rates $\gamma_k$, per unit time.
        horizon: $T$.
        kind: type of fractional Brownian motion.

    Raises:
        ConfigError: rates or a horizon that are not positive.
    """
    return _condition(_unit_diagonal(_gram(_in_horizons(rates, horizon), kind))[0])


def covariance(
    kind: Fractional,
    weights: Float[Tensor, "*hurst rates"],
    rates: Float[Tensor, "rates"],
    s: Float[Tensor, "*#times"],
    t: Float[Tensor, "*#times"],
) -> Float[Tensor, "..."]:
    r"""$E \hat B(s) \hat B(t)$ of the approximation, of shape `(*hurst, *times)`, for times in either order.

    For $s \le t$ it is the sum over $i, j$ of $\omega_i \omega_j / (\gamma_i + \gamma_j)$ times

    $$(1 - e^{-\gamma_i s}) + e^{-\gamma_j (t-s)} (1 - e^{-\gamma_j s}) \;\text{(type I)}, \qquad
    e^{-\gamma_j (t-s)} (1 - e^{-(\gamma_i+\gamma_j) s}) \;\text{(type II)}.$$

    Args:
        kind: type of fractional Brownian motion.
        weights: $\omega$.
        rates: mean reversion rates $\gamma_k$, per unit time.
        s: times, at or after zero.
        t: times that broadcast against `s`.
    """
    w, g = weights.to(DOUBLE), rates.to(DOUBLE)
    early, late = torch.minimum(s, t).to(DOUBLE)[..., None, None], torch.maximum(s, t).to(DOUBLE)[..., None, None]
    total = g[:, None] + g
    if kind is Fractional.TYPE_I:
        kernel = -torch.expm1(-g[:, None] * early) - torch.exp(-g * (late - early)) * torch.expm1(-g * early)
    else:
        kernel = -torch.exp(-g * (late - early)) * torch.expm1(-total * early)
    outer = (w[..., :, None] * w[..., None, :]).flatten(-2)
    found = outer @ (kernel / total).flatten(-2).reshape(-1, total.numel()).T
    return found.reshape(*w.shape[:-1], *early.shape[:-2])


def exact_covariance(
    kind: Fractional,
    hurst: Float[Tensor, "*hurst"],
    s: Float[Tensor, "*#times"],
    t: Float[Tensor, "*#times"],
) -> Float[Tensor, "..."]:
    r"""$E B_H(s) B_H(t)$ of fractional Brownian motion of variance $t^{2H}$, of shape `(*hurst, *times)`; no gradient.

    Type I: $\frac12 (s^{2H} + t^{2H} - |t-s|^{2H})$. Type II, for $s \le t$ and $a = H + \frac12$:

    $$2H \int_0^s (t-u)^{a-1} (s-u)^{a-1} du = \frac{2H}a s^a t^{a-1} {}_2F_1(1-a, 1; a+1; s/t).$$

    Args:
        kind: type of fractional Brownian motion.
        hurst: Hurst indices $H$ in (0, 1).
        s: times, at or after zero.
        t: times that broadcast against `s`.

    Raises:
        ConfigError: an $H$ outside (0, 1).
    """
    _check_hurst(hurst)
    early, late = torch.minimum(s, t).detach().to(DOUBLE), torch.maximum(s, t).detach().to(DOUBLE)
    h = hurst.detach().to(DOUBLE).reshape(*hurst.shape, *[1] * early.dim())
    if kind is Fractional.TYPE_I:
        return (early ** (2 * h) + late ** (2 * h) - (late - early) ** (2 * h)) / 2
    a, ratio = h + 0.5, early / late.where(late > 0, 1)
    series = hyp2f1((1 - a).cpu().numpy(), 1.0, (a + 1).cpu().numpy(), ratio.cpu().numpy())
    return 2 * h / a * ratio**a * late ** (2 * h) * torch.as_tensor(series, dtype=DOUBLE, device=ratio.device)


def _check_hurst(hurst: Tensor) -> None:
    """Raises ConfigError for an H outside (0, 1); NaN is outside."""
    outside = ~((hurst > 0) & (hurst < 1))
    if outside.any():
        raise ConfigError(f"The Hurst index is {hurst[outside][0].item()}, but it lies between 0 and 1, both excluded.")


def _check_horizon(horizon: float) -> None:
    """Raises ConfigError unless the horizon is positive and finite."""
    if not 0 < horizon < math.inf:
        raise ConfigError(f"The horizon of the weights is {horizon}: give a positive, finite time.")


def _checked(hurst: Tensor, rates: Tensor, horizon: float) -> tuple[Tensor, Tensor]:
    """Hurst indices, and rates in units of 1 / horizon, both in float64 on one device."""
    _check_hurst(hurst)
    return hurst.to(DOUBLE), _in_horizons(rates, horizon).to(hurst.device)


def _in_horizons(rates: Tensor, horizon: float) -> Tensor:
    """Rates in units of 1 / horizon, in float64."""
    _check_horizon(horizon)
    if not ((rates > 0) & rates.isfinite()).all():
        raise ConfigError(f"Mean reversion rates are positive and finite, but the grid holds {rates.tolist()}.")
    return rates.to(DOUBLE) * horizon


def _variance(h: Tensor, kind: Fractional) -> Tensor:
    """V_H: the variance at time one of the process that the weights of normalize="none" approximate."""
    if kind is Fractional.TYPE_I:
        return torch.exp(-torch.lgamma(2 * h + 1)) / torch.sin(math.pi * h)
    return torch.exp(-2 * torch.lgamma(h + 0.5)) / (2 * h)


def _gram(z: Tensor, kind: Fractional) -> Tensor:
    r"""$A$ at $T = 1$: the integral of $E \hat Y_i \hat Y_j$, for rates z."""
    total = z[:, None] + z
    if kind is Fractional.TYPE_I:
        return (_ramp(z)[:, None] + _ramp(z)) / total
    return _ramp(total) / total


def _ramp(z: Tensor) -> Tensor:
    """1 + (exp(-z) - 1) / z, which is z / 2 to first order."""
    small, large = z.clamp(max=1e-2), z.clamp(min=1e-2)
    series = small * (1 / 2 - small * (1 / 6 - small * (1 / 24 - small * (1 / 120 - small / 720))))
    return torch.where(z < 1e-2, series, 1 + torch.expm1(-large) / large)


def _target(h: Tensor, z: Tensor, kind: Fractional) -> Tensor:
    r"""$b$ at $T = 1$: the integral of $E \hat Y_k B_H$ with the target not normalised, of shape (*hurst, rates)."""
    a = h[..., None] + 0.5
    if kind is Fractional.TYPE_I:
        return torch.where(z < SPLIT_I, _slow_i(a, z.clamp(max=SPLIT_I)), _fast_i(a, z.clamp(min=SPLIT_I)))
    return torch.where(z < SPLIT_II, _slow_ii(a, z.clamp(max=SPLIT_II)), _fast_ii(a, z.clamp(min=SPLIT_II)))


def _slow_i(a: Tensor, z: Tensor) -> Tensor:
    r"""$\sum_{m \ge 1} z^{m-1} / \Gamma(a+m+1) - 2 z^{-a-1} (\sinh z - z)$: a matrix product of powers and coefficients."""
    m = torch.arange(1, TERMS_I, dtype=DOUBLE, device=z.device)
    inverse_gamma = _running_product(torch.exp(-torch.lgamma(a + 2)), 1 / (a + 1 + m))
    power = z[:, None] ** torch.arange(TERMS_I, dtype=DOUBLE, device=z.device)
    odd = torch.tensor([1 / math.factorial(j) for j in range(3, TERMS_I + 3, 2)], dtype=DOUBLE, device=z.device)
    sinh = power[:, ::2] @ odd  # (sinh z - z) / z^3
    return inverse_gamma @ power.T - 2 * z ** (2 - a) * sinh


def _fast_i(a: Tensor, z: Tensor) -> Tensor:
    r"""$z^{-a-1} (2z - z^a/\Gamma(a+1) + e^{-z} - Q(a, z) e^z)$, the last term as a continued fraction."""
    k = torch.arange(1, FRACTION + 1, dtype=DOUBLE, device=z.device)
    constants, numerators = ((z - a)[..., None] + 2 * k - 1).unbind(-1), (k * (k - a)).unsqueeze(-2).unbind(-1)
    level = constants[-1] + 2
    for constant, numerator in zip(reversed(constants), reversed(numerators), strict=True):
        level = torch.addcdiv(constant, numerator, level, value=-1)
    power, gamma = z**a, torch.exp(torch.lgamma(a))
    return (2 * z - power / (a * gamma) + torch.exp(-z) - power / (gamma * level)) / (power * z)


def _slow_ii(a: Tensor, z: Tensor) -> Tensor:
    r"""$\sum_n \mathrm{Poisson}(n; z)\,(n+1)!/\Gamma(a+2+n)$, equal to ${}_1F_1(a; a+2; -z) / \Gamma(a+2)$ by Kummer."""
    n = torch.arange(1, TERMS_II, dtype=DOUBLE, device=z.device)
    coefficient = _running_product(torch.exp(-torch.lgamma(a + 2)), (n + 1) / (a + 1 + n))
    poisson = _running_product(torch.exp(-z)[:, None], z[:, None] / n)
    return coefficient @ poisson.T


def _fast_ii(a: Tensor, z: Tensor) -> Tensor:
    """The same without its terms in exp(-z)."""
    return z**-a - a * z ** (-a - 1)


def _running_product(first: Tensor, ratios: Tensor) -> Tensor:
    """first, first * ratios[0], first * ratios[0] * ratios[1], ... along the last axis."""
    return torch.cat([first, ratios], -1).cumprod(-1)


def _solve(gram: Tensor, target: Tensor) -> Tensor:
    """A^-1 b for every row b of `target`: by Cholesky, with A scaled to a unit diagonal."""
    unit, scale = _unit_diagonal(gram)
    condition = _condition(unit)
    if condition > CONDITION_LIMIT:
        raise ConfigError(
            f"A grid of {len(unit)} rates has condition number {condition:.0e}, which float64 cannot solve: "
            f"take fewer rates, or spread them further apart."
        )
    columns = (target * scale).reshape(-1, len(scale)).T
    solved = torch.cholesky_solve(columns, torch.linalg.cholesky(unit))
    return solved.T.reshape(target.shape) * scale


def _unit_diagonal(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix scaled from both sides to a unit diagonal, and the scale."""
    scale = gram.diagonal().rsqrt()
    return gram * scale[:, None] * scale, scale


def _condition(unit: Tensor) -> float:
    """Ratio of the extreme eigenvalues; above 1e16 it is rounding."""
    values = torch.linalg.eigvalsh(unit.detach())
    return (values[-1] / values[0].clamp(min=1e-17)).item()
