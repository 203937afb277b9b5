r"""The Hurst index $H$ of fractional Brownian motion, from paths sampled at equal distances in time.

Every estimator takes paths (not their increments) of one index, pools them, and leaves unit, level and distance in time
open. Mean and standard deviation over 100 times 64 paths of 256 times (type I):

| | H = .2 | .35 | .5 | .65 | .8 |
|---|---|---|---|---|---|
| rescaled range | .268 ± .010 | .386 ± .012 | .500 ± .013 | .609 ± .014 | .714 ± .016 |
| wavelet | .201 ± .008 | .351 ± .008 | .499 ± .009 | .651 ± .007 | .801 ± .008 |
| variations | .201 ± .010 | .352 ± .013 | .499 ± .010 | .651 ± .010 | .799 ± .010 |
| likelihood | .201 ± .004 | .351 ± .004 | .500 ± .005 | .651 ± .005 | .800 ± .005 |
| likelihood, noisy | .205 ± .008 | .354 ± .006 | .503 ± .007 | .654 ± .006 | .803 ± .006 |

and under white noise of half a step's standard deviation, which all but the last take for roughness:

| | H = .2 | .35 | .5 | .65 | .8 |
|---|---|---|---|---|---|
| rescaled range | .239 ± .009 | .349 ± .012 | .464 ± .012 | .576 ± .013 | .686 ± .017 |
| wavelet | .146 ± .008 | .264 ± .008 | .383 ± .009 | .495 ± .007 | .577 ± .007 |
| variations | .134 ± .010 | .234 ± .012 | .325 ± .012 | .399 ± .011 | .423 ± .010 |
| likelihood | .154 ± .004 | .281 ± .004 | .409 ± .005 | .533 ± .005 | .640 ± .006 |
| likelihood, noisy | .201 ± .014 | .349 ± .011 | .500 ± .011 | .651 ± .010 | .801 ± .009 |

The mean of the stated standard errors is within a sixth of these deviations, but for the noisy likelihood where there is no
noise (up to a quarter above them) and the other likelihood where there is (up to a quarter below).
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.signal import correlate
from scipy.special import gammaln, polygamma, psi

from neuralsde.errors import NeuralSDEError

LOWEST, HIGHEST = 0.001, 0.999
"""Bounds of the index, and of the share of noise from above, within which the likelihood is searched."""
CURVE = np.array([1.0, -2.0, 1.0])
"""Weights of a second difference."""


class HurstEstimate(NamedTuple):
    """An estimate of the Hurst index and its standard error."""

    hurst: float
    standard_error: float


class HurstFit(NamedTuple):
    """What maximises the likelihood: the index, its standard error, and the standard deviations of a step of the motion and
    of the noise, in the unit of the paths."""

    hurst: float
    standard_error: float
    step_std: float
    noise_std: float


def hurst_rescaled_range(paths: np.ndarray) -> HurstEstimate:
    r"""Hurst index from the growth of the rescaled range, with the correction of Anis & Lloyd.

    In a block of $n$ increments, $R$ is the range of the path around the straight line from the block's start to its end,
    and $S$ the standard deviation of the increments. With $n = 16, 32, \dots$ up to a whole path,

    $$\hat H = \tfrac12 + \text{slope of } \ln \overline{R/S} - \ln E_n \text{ over } \ln n, \qquad
    E_n = \frac{\Gamma((n - 1)/2)}{\sqrt\pi\, \Gamma(n/2)} \sum_{i=1}^{n-1} \sqrt{(n - i)/i}$$

    where $E_n$ is the expectation at $H = \frac12$. **Elsewhere it is biased towards** $\frac12$, and its standard error
    does not tell: see the table above.

    Args:
        paths: (path, time), 33 times or more. The standard error is a jackknife's over paths, NaN for a single one.

    Raises:
        NeuralSDEError: the paths are too short or not finite, or one stands still or moves evenly throughout a block.

    Source: Mandelbrot, Wallis 1969, "Robustness of the rescaled range R/S in the measurement of noncyclic long run
    statistical dependence"; Anis, Lloyd 1976, "The expected value of the adjusted rescaled Hurst range of independent
    normal summands", Biometrika 63(1).
    """
    paths = checked_paths(paths, 33)
    sizes = [2**octave for octave in range(4, int(np.log2(paths.shape[1] - 1)) + 1)]
    ratios = np.stack([block_ratios(paths, n).mean(1) for n in sizes], axis=1)  # (path, size)
    expected, n_paths = np.log([expected_ratio(n) for n in sizes]), len(paths)
    slope = regression(np.log(sizes), np.ones(len(sizes)))
    hurst = 0.5 + (np.log(ratios.mean(0)) - expected) @ slope
    if n_paths == 1:
        return HurstEstimate(float(hurst), float("nan"))
    without = np.log((ratios.sum(0) - ratios) / (n_paths - 1)) @ slope
    return HurstEstimate(float(hurst), float(without.std() * np.sqrt(n_paths - 1)))


def hurst_wavelet(paths: np.ndarray) -> HurstEstimate:
    r"""Hurst index from the variance of the increments' Haar wavelet coefficients over octaves.

    At octave $j$, with $m = 2^{j-1}$, they are $d = 2^{-j/2} (2 x_{k + m} - x_k - x_{k + 2m})$ at $k = 0, 2m, 4m, \dots$ of
    variance $\propto 2^{j (2H - 1)}$, exactly so for fractional Brownian motion. The logarithm of their mean square, less
    its expectation at independent coefficients, is regressed on $j$ with the inverse of its variance as weight, over the
    octaves with four coefficients or more per path. They are blind to a straight line in the path.

    Args:
        paths: $x$, (path, time), 17 times or more.

    Raises:
        NeuralSDEError: the paths are too short, not finite, or have no noise.

    Source: Abry, Veitch 1998, "Wavelet analysis of long-range-dependent traffic", IEEE Transactions on Information Theory
    44(1); Veitch, Abry 1999 for weights and expectation. The standard error is exact to first order (`scaling_fit`).
    """
    paths = checked_paths(paths, 17)
    lags = [2**octave for octave in range(int(np.log2((paths.shape[1] - 1) / 4)))]
    return scaling_fit(paths, lags, [2 * lag for lag in lags])


def hurst_variations(paths: np.ndarray) -> HurstEstimate:
    r"""Hurst index from the ratio of two quadratic variations, those of second differences over 1 and over 2 steps.

    $$\hat H = \frac12 \log_2 \frac{\overline{(x_{k+4} - 2 x_{k+2} + x_k)^2}}{\overline{(x_{k+2} - 2 x_{k+1} + x_k)^2}}$$

    It looks at the smallest scales alone, hence holds for any process that is locally like fractional Brownian motion,
    such as a fractional Ornstein–Uhlenbeck process in small steps, and observation noise spoils it first.

    Args:
        paths: $x$, (path, time), 6 times or more.

    Raises:
        NeuralSDEError: the paths are too short, not finite, or have no noise.

    Source: Istas, Lang 1997, "Quadratic variations and estimation of the local Hölder index of a Gaussian process", Annales
    de l'Institut Henri Poincaré B 33(4).
    """
    return scaling_fit(checked_paths(paths, 6), [1, 2], [1, 1])


def hurst_likelihood(paths: np.ndarray, noisy: bool = False) -> HurstFit:
    r"""Hurst index of the greatest exact likelihood of the increments, of any scale and, if `noisy`, under white noise.

    The increments of a path plus noise of variance $r^2$ have the autocovariance

    $$v\, \Bigl[\frac{1 - \nu}2 \bigl(|k + 1|^{2H} - 2 |k|^{2H} + |k - 1|^{2H}\bigr)
    + \nu \bigl(1_{k = 0} - \tfrac12 1_{|k| = 1}\bigr)\Bigr], \qquad \nu v = 2 r^2$$

    The scale $v$ is maximised in closed form, $H$ and the share of noise $\nu$ (0 unless `noisy`) numerically, and the
    likelihood is that of one-step predictions by the recursion of Durbin and Levinson, $O(n^2)$.

    Args:
        paths: (path, time), 9 times or more, without a trend.
        noisy: whether white observation noise of unknown variance is on the paths. It can hardly be told from motion of
            $H$ near 0.

    Returns:
        the estimate. Its standard error, from the curvature of the likelihood, is NaN where that has no peak between .001
        and .999; a share of noise found to be 0 is taken as known.

    Raises:
        NeuralSDEError: the paths are too short, not finite, or have no noise.

    Source: Beran 1994, *Statistics for Long-Memory Processes*, chapter 5; Brockwell, Davis 1991, *Time Series: Theory and
    Methods*, section 5.2, for the recursion.
    """
    increments = np.diff(checked_paths(paths, 9), axis=1)
    cost, bounds = partial(deviance, increments), [(LOWEST, HIGHEST), (0.0, HIGHEST)][: 1 + noisy]
    starts = [np.array(start[: 1 + noisy]) for start in product((0.15, 0.5, 0.85), (0.1, 0.5, 0.9))]
    best = minimize(cost, min(starts, key=cost), method="L-BFGS-B", bounds=bounds, jac="3-point").x
    share = float(best[1]) if noisy else 0.0
    variance = prediction_errors(noisy_autocovariance(increments.shape[1], *best), increments)[0]
    step_std, noise_std = np.sqrt((1 - share) * variance), np.sqrt(share * variance / 2)
    return HurstFit(float(best[0]), peak_error(cost, best), float(step_std), float(noise_std))


def block_ratios(paths: np.ndarray, n: int) -> np.ndarray:
    """R/S of the paths' blocks of `n` increments, (path, block).

    Raises:
        NeuralSDEError: the increments of a block are all equal.
    """
    steps = np.diff(paths, axis=1)
    steps = steps[:, : steps.shape[1] // n * n].reshape(len(paths), -1, n)
    around = (steps - steps.mean(-1, keepdims=True)).cumsum(-1)  # the last is 0, as is the first, which is left out
    spread = np.ptp(np.concatenate([np.zeros_like(around[..., :1]), around], axis=-1), axis=-1)
    still = np.argwhere(np.ptp(steps, axis=-1) == 0)
    if len(still):
        path, block = still[0]
        raise NeuralSDEError(
            f"Path {path} stands still or moves evenly from time {block * n} to {block * n + n}; the rescaled range is "
            "not defined there, so take another estimator."
        )
    return spread / steps.std(-1)


def expected_ratio(n: int) -> float:
    """Expectation of R/S of `n` independent normal increments (Anis & Lloyd 1976)."""
    i = np.arange(1, n)
    return float(np.exp(gammaln((n - 1) / 2) - gammaln(n / 2)) / np.sqrt(np.pi) * np.sqrt((n - i) / i).sum())


def regression(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What the ordinates at `x` are multiplied with in the slope of a weighted regression, (point,)."""
    centred = weights * (x - np.average(x, weights=weights))
    return centred / (centred @ x)


def scaling_fit(paths: np.ndarray, lags: list[int], strides: list[int]) -> HurstEstimate:
    r"""Half the slope of the logarithm of mean squared second differences over the logarithm of their lag.

    The standard error is exact to first order for fractional Brownian motion of the estimated index: mean squares of normal
    variables with correlations $r_{ij}$ have logarithms of covariance $2 \overline{r_{ij}^2}$.

    Args:
        paths: (path, time), checked.
        lags: in steps.
        strides: for each of them, steps from one second difference to the next.

    Raises:
        NeuralSDEError: all second differences over one of the lags are 0.
    """
    starts = [np.arange(0, paths.shape[1] - 2 * lag, stride) for lag, stride in zip(lags, strides, strict=True)]
    squares = np.array([np.mean(second_differences(paths, k, lag) ** 2) for k, lag in zip(starts, lags, strict=True)])
    if squares.min() == 0:
        raise NeuralSDEError(
            f"The paths' second differences over {lags[int(np.argmin(squares))]} steps are all 0, so that no Hurst index "
            "describes them; give paths that are neither periodic nor rounded."
        )
    halves = np.array([len(paths) * len(k) / 2 for k in starts])
    slope = regression(np.log(lags), 1 / polygamma(1, halves)) / 2
    hurst = float((np.log(squares) - psi(halves) + np.log(halves)) @ slope)
    covariance = log_square_covariance(starts, lags, float(np.clip(hurst, LOWEST, HIGHEST))) / len(paths)
    return HurstEstimate(hurst, float(np.sqrt(slope @ covariance @ slope)))


def second_differences(paths: np.ndarray, starts: np.ndarray, lag: int) -> np.ndarray:
    """Second differences over `lag` steps that begin at `starts`, (path, start)."""
    return paths[:, starts] - 2 * paths[:, starts + lag] + paths[:, starts + 2 * lag]


def log_square_covariance(starts: list[np.ndarray], lags: list[int], hurst: float) -> np.ndarray:
    """Covariance of the logarithms of one path's mean squared second differences, (lag, lag), to first order."""
    size = max(int(k[-1]) for k in starts) + 1
    marks = [np.isin(np.arange(size), k).astype(float) for k in starts]
    apart = np.arange(1 - size, size)
    covariance = np.empty((len(lags), len(lags)))
    for i, j in product(range(len(lags)), repeat=2):
        pairs = correlate(marks[i], marks[j])  # how many pairs of starts are that far apart
        covariance[i, j] = 2 * pairs @ curve_correlation(apart, lags[i], lags[j], hurst) ** 2 / pairs.sum()
    return covariance


def curve_correlation(apart: np.ndarray, first: int, second: int, hurst: float) -> np.ndarray:
    """Correlation of second differences over `first` and over `second` steps whose starts are `apart`, same shape."""
    covariance = np.zeros(len(apart))
    for (p, a), (q, b) in product(enumerate(CURVE), repeat=2):
        covariance -= a * b / 2 * np.abs(apart + p * first - q * second) ** (2 * hurst)
    return covariance / ((4 - 4**hurst) * float(first * second) ** hurst)


def noisy_autocovariance(n: int, hurst: float, share: float = 0.0) -> np.ndarray:
    """Of `n` increments of unit variance of fractional Brownian motion, of which white noise on the path has `share`, (n,)."""
    powers = np.abs(np.arange(-1.0, n + 1)) ** (2 * hurst)
    motion, noise = (powers[2:] - 2 * powers[1:-1] + powers[:-2]) / 2, np.zeros(n)
    noise[:2] = 1.0, -0.5
    return (1 - share) * motion + share * noise


def prediction_errors(autocovariance: np.ndarray, series: np.ndarray) -> tuple[float, float]:
    """Mean square of the standardised errors of one-step predictions of `series` (path, time), and the sum over time of the
    logarithms of their variances: the quadratic form and the determinant of a normal likelihood (Durbin & Levinson)."""
    columns, variance, weights = np.ascontiguousarray(series.T), autocovariance[0], np.empty(0)  # weights: oldest first
    square, log_determinant = 0.0, 0.0
    for time, column in enumerate(columns):
        if time:
            partial_correlation = (autocovariance[time] - weights @ autocovariance[1:time]) / variance
            weights = np.concatenate([[partial_correlation], weights - partial_correlation * weights[::-1]])
            variance *= 1 - partial_correlation**2
        error = column - weights @ columns[:time]
        square, log_determinant = square + error @ error / variance, log_determinant + np.log(variance)
    return float(square / series.size), float(log_determinant)


def deviance(increments: np.ndarray, parameters: np.ndarray) -> float:
    """Twice the negative logarithm of the likelihood of `parameters` (index, share of noise) at its best scale, up to a
    constant."""
    square, log_determinant = prediction_errors(noisy_autocovariance(increments.shape[1], *parameters), increments)
    return increments.size * np.log(square) + len(increments) * log_determinant


def peak_error(cost: Callable[[np.ndarray], float], best: np.ndarray, step: float = 1e-3) -> float:
    """Standard error of the first of the parameters `best`, from central differences of the deviance `cost`; NaN where there
    is no peak. Others that are as good as 0 are taken as known."""
    free = [index for index, value in enumerate(best) if index == 0 or value > 3 * step]
    if best[0] < LOWEST + 2 * step or best.max() > HIGHEST - 2 * step:
        return float("nan")
    curvature, moves = np.zeros((len(free), len(free))), step * np.eye(len(best))[free]
    for (i, a), (j, b) in product(enumerate(moves), repeat=2):
        curvature[i, j] = cost(best + a + b) - cost(best + a - b) - cost(best - a + b) + cost(best - a - b)
    curvature /= 4 * step**2
    if np.linalg.eigvalsh(curvature)[0] <= 0:
        return float("nan")
    return float(np.sqrt(2 * np.linalg.inv(curvature)[0, 0]))


def checked_paths(paths: np.ndarray, least: int) -> np.ndarray:
    """`paths` in float64.

    Raises:
        NeuralSDEError: they are not (path, time) of `least` times or more, a value is not finite, or a path is a straight
            line.
    """
    paths = np.asarray(paths, np.float64)
    if paths.ndim != 2 or not len(paths) or paths.shape[1] < least:
        raise NeuralSDEError(f"The paths have shape {paths.shape}; give (path, time) with one path and {least} times or more.")
    bad = np.argwhere(~np.isfinite(paths))
    if len(bad):
        path, time = bad[0]
        raise NeuralSDEError(
            f"Path {path} is {paths[path, time]} at time {time}; give paths without gaps, or leave that one out."
        )
    straight = np.flatnonzero(np.ptp(np.diff(paths, axis=1), axis=1) <= 1e-12 * np.abs(paths).max(1))
    if len(straight):
        raise NeuralSDEError(f"Path {straight[0]} is a straight line, which has no Hurst index; leave it out.")
    return paths
