"""States of equations driven by fractional Brownian motion, and the exact covariances of both."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.signal import lfilter
from scipy.special import gamma, gammaincc, hyp1f1, hyp2f1

from neuralsde.datamodules.lorenz import at_least
from neuralsde.datamodules.simulated.stochastic import finite_numbers
from neuralsde.datamodules.simulated.system import AbstractSystem
from neuralsde.errors import ConfigError

KINDS = ("type_i", "type_ii")
SMALL, LARGE = 1.0, 40.0
"""Bounds of lag times theta between the three forms of `variogram`, each good to eleven digits on its side."""


class FractionalOU(AbstractSystem):
    r"""Fractional Ornstein–Uhlenbeck processes $dX = \theta (\mu - X)\,dt + \sigma\,dB^H$ from a given $X_0$, one per state.

    Fractional Brownian motion itself, started at $X_0$, where $\theta = 0$. Of the two kinds of it,

    $$B_t \propto \int_0^t (t - u)^{H - 1/2}\,dW_u + \int_{-\infty}^0 \bigl((t - u)^{H - 1/2} - (-u)^{H - 1/2}\bigr)\,dW_u$$

    with both integrals is `type_i` (Mandelbrot & Van Ness), whose increments are stationary; with the first alone it is
    `type_ii` (Riemann–Liouville). Both are scaled to $\mathrm{Var}\,B_t = t^{2H}$ with $t$ in seconds.

    At times with equal distances, $B$ is drawn exactly in $m$ steps per bin (`type_i` by circulant embedding, `type_ii` by
    a Cholesky factor, which takes long beyond some thousand steps), and with it

    $$X_t = \mu + (X_0 - \mu) e^{-\theta t} + \sigma \Bigl(B_t - \theta \int_0^t e^{-\theta (t - v)} B_v\,dv\Bigr)$$

    by the trapezoidal rule. With steps of $\delta$ seconds, the error of $X_t$ has about the standard deviation
    $\theta \sigma c_H \delta^{H + 1/2} \sqrt{(1 - e^{-2 \theta t}) / 2 \theta}$, where
    $c_H^2 = 2 \Gamma(2H + 1) \sin(\pi H) \zeta(2H + 1) / (2\pi)^{2H + 1}$ falls from .35 at $H = .1$ to .0075 at .9. At
    $\theta = 0$ one step per bin is exact, and one is made. At other times, $X$ is drawn from its exact covariance, which
    is not known for `type_ii` with $\theta > 0$.

    Args:
        hurst: $H$, between 0 and 1; a number, or one per state, which says how many states there are.
        theta: $\theta$, per second, at least 0; a number, or one per state, as are the following.
        mu: $\mu$, in the state's unit.
        sigma: $\sigma$, in the state's unit per second$^H$, at least 0.
        start: $X_0$, in the state's unit.
        kind: `type_i` or `type_ii`.
        substeps: $m$, steps per bin where $\theta > 0$.

    Raises:
        ConfigError: a setting is impossible.

    Source: Cheridito, Kawaguchi, Maejima 2003, "Fractional Ornstein–Uhlenbeck processes", Electronic Journal of
    Probability 8(3); Marinucci, Robinson 1999, "Alternative forms of fractional Brownian motion", Journal of Statistical
    Planning and Inference 80, for the kinds. The error is derived here.
    """

    def __init__(
        self,
        hurst: float | Sequence[float],
        theta: float | Sequence[float] = 0.0,
        mu: float | Sequence[float] = 0.0,
        sigma: float | Sequence[float] = 1.0,
        start: float | Sequence[float] = 0.0,
        kind: str = "type_i",
        substeps: int = 16,
    ):
        self.n_states, self.name = len(hurst) if isinstance(hurst, Sequence) else 1, type(self).__name__
        self.hurst = self.per_state("hurst", hurst)
        for value in self.hurst:
            refuse_bad_hurst(value, "data.system.hurst")
        self.theta, self.mu = self.per_state("theta", theta, least=0.0), self.per_state("mu", mu)
        self.sigma, self.start = self.per_state("sigma", sigma, least=0.0), self.per_state("start", start)
        refuse_bad_kind(kind, "data.system.kind")
        at_least("system.substeps", substeps, 1)
        self.kind, self.substeps = kind, substeps

    def per_state(self, key: str, value: float | Sequence[float], least: float = -math.inf) -> np.ndarray:
        """One number per state.

        Raises:
            ConfigError: there are more or fewer, or one is not finite, or below `least`.
        """
        values = finite_numbers(f"system.{key}", value if isinstance(value, Sequence) else [value] * self.n_states, least)
        if len(values) != self.n_states:
            raise ConfigError(
                f"data.system.{key} has {len(values)} numbers, but data.system.hurst has {self.n_states}; "
                "give one number, or one per state."
            )
        return values

    def states(self, rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
        """See the base class.

        Raises:
            ConfigError: the times have no equal distances, and the law at such times is not known.
        """
        paths = []
        for hurst, theta, mu, sigma, start in zip(self.hurst, self.theta, self.mu, self.sigma, self.start, strict=True):
            mean = mu + (start - mu) * np.exp(-theta * times)
            paths.append(mean + sigma * self.deviation(rng, times, float(hurst), float(theta)))
        return np.stack(paths, axis=-1)

    def deviation(self, rng: np.random.Generator, times: np.ndarray, hurst: float, theta: float) -> np.ndarray:
        r"""One state of $\mu = X_0 = 0$ and $\sigma = 1$ at `times`, (trial, time)."""
        if equally_spaced(times):
            parts = self.substeps if theta > 0 else 1
            fine = np.linspace(0.0, times[0, -1], (times.shape[1] - 1) * parts + 1)
            return relaxed(self.noise(rng, hurst, len(times), fine), theta, fine[1])[:, ::parts]
        if self.kind == "type_i":
            return gaussian_paths(rng, times, lambda row: fractional_ou_covariance(row, hurst, theta))
        if theta > 0:
            raise ConfigError(
                f"data.system.kind is type_ii with theta {theta:g}, whose law at irregular times is not known; "
                "give data.irregular=false, data.system.kind=type_i or data.system.theta=0."
            )
        return gaussian_paths(rng, times, lambda row: fractional_covariance(row, row, hurst, self.kind))

    def noise(self, rng: np.random.Generator, hurst: float, n_paths: int, times: np.ndarray) -> np.ndarray:
        """Fractional Brownian motion (path, time) at equally spaced `times` (time,) from 0."""
        if self.kind == "type_ii":
            rows = np.broadcast_to(times, (n_paths, len(times)))
            return gaussian_paths(rng, rows, lambda row: fractional_covariance(row, row, hurst, self.kind))
        steps = fractional_gaussian_noise(rng, hurst, n_paths, len(times) - 1, float(times[1]))
        return np.pad(steps.cumsum(axis=1), ((0, 0), (1, 0)))


def fractional_gaussian_noise(
    rng: np.random.Generator, hurst: float, n_paths: int, n_steps: int, dt: float = 1.0
) -> np.ndarray:
    r"""Increments $B_{(k+1) \Delta} - B_{k \Delta}$ of fractional Brownian motion of type I, (path, step), exactly.

    Their autocovariance $\frac12 \Delta^{2H} (|k + 1|^{2H} - 2 |k|^{2H} + |k - 1|^{2H})$ is the first half of a circulant
    matrix of twice the size, whose square root the fast Fourier transform applies to white noise: $O(n \log n)$.

    Args:
        rng: decides the noise.
        hurst: $H$, between 0 and 1.
        n_paths: paths.
        n_steps: steps per path.
        dt: $\Delta$, in seconds; $B$ has variance $t^{2H}$ at $t$ seconds.

    Raises:
        ConfigError: $H$, a size or the step is impossible.

    Source: Davies, Harte 1987, "Tests for Hurst effect", Biometrika 74(1); the embedding has no negative eigenvalue at any
    $H$: Craigmile 2003, "Simulating a class of stationary Gaussian processes using the Davies–Harte algorithm, with
    application to long memory processes", Journal of Time Series Analysis 24(5).
    """
    refuse_bad_hurst(hurst)
    if n_paths < 1 or n_steps < 1 or not 0 < dt < math.inf:
        raise ConfigError(f"Noise of {n_paths} paths of {n_steps} steps of {dt} s is asked for; give numbers above 0.")
    eigenvalues = embedding_eigenvalues(dt ** (2 * hurst) * noise_autocovariance(hurst, n_steps))
    white = np.fft.rfft(rng.standard_normal((n_paths, 2 * n_steps)))
    return np.fft.irfft(np.sqrt(eigenvalues) * white, 2 * n_steps)[:, :n_steps]


def noise_autocovariance(hurst: float, n: int) -> np.ndarray:
    """Of fractional Gaussian noise with steps of one second, at lags 0 to `n` steps, (n + 1,)."""
    lags, a = np.arange(2.0, n + 1), 2 * hurst
    # What the powers of three neighbours would lose in their differences is kept by differences from the middle one.
    far = lags**a * (np.expm1(a * np.log1p(1 / lags)) + np.expm1(a * np.log1p(-1 / lags))) / 2
    return np.concatenate([[1.0, 2 ** (a - 1) - 1], far])


def embedding_eigenvalues(autocovariance: np.ndarray) -> np.ndarray:
    """Eigenvalues of the circulant matrix whose first row is `autocovariance`, lags 0 to n, and its mirror image; (n + 1,).

    Raises:
        ConfigError: one is negative, by more than rounding.
    """
    eigenvalues = np.fft.rfft(np.concatenate([autocovariance, autocovariance[-2:0:-1]])).real
    if eigenvalues.min() < -1e-9 * eigenvalues.max():
        raise ConfigError(
            f"The autocovariance cannot be embedded in a circulant one of twice its length (least eigenvalue "
            f"{eigenvalues.min():.3g}, greatest {eigenvalues.max():.3g}); give that of fractional noise, or more lags."
        )
    return eigenvalues.clip(min=0.0)


def fractional_covariance(times_s: np.ndarray, times_t: np.ndarray, hurst: float, kind: str = "type_i") -> np.ndarray:
    r"""$\mathrm{Cov}(B_s, B_t)$ of fractional Brownian motion of variance $t^{2H}$, (time s, time t).

    $$\tfrac12 \bigl(s^{2H} + t^{2H} - |t - s|^{2H}\bigr)$$

    for `type_i`, and for `type_ii`, with $s \le t$,

    $$\frac{2H}{H + 1/2}\, s^{H + 1/2}\, t^{H - 1/2}\; {}_2F_1\bigl(1, \tfrac12 - H; H + \tfrac32; s/t\bigr)$$

    Args:
        times_s: $s$, in seconds, (time s,), 0 or later.
        times_t: $t$, in seconds, (time t,), 0 or later.
        hurst: $H$, between 0 and 1.
        kind: `type_i` or `type_ii`.

    Raises:
        ConfigError: $H$, the kind or a time is impossible.

    Source: Mandelbrot, Van Ness 1968, "Fractional Brownian motions, fractional noises and applications", SIAM Review
    10(4); Marinucci, Robinson 1999 for `type_ii`.
    """
    refuse_bad_hurst(hurst)
    refuse_bad_kind(kind)
    s, t = checked_times(times_s)[:, None], checked_times(times_t)[None]
    if kind == "type_i":
        return (s ** (2 * hurst) + t ** (2 * hurst) - np.abs(t - s) ** (2 * hurst)) / 2
    low, high = np.minimum(s, t), np.maximum(s, t)
    ratio = np.divide(low, high, out=np.zeros_like(high), where=high > 0)
    scale = 2 * hurst / (hurst + 0.5) * high ** (2 * hurst) * ratio ** (hurst + 0.5)
    return scale * hyp2f1(1.0, 0.5 - hurst, hurst + 1.5, ratio)


def fractional_ou_covariance(times: np.ndarray, hurst: float, theta: float, sigma: float = 1.0) -> np.ndarray:
    r"""$\mathrm{Cov}(X_s, X_t)$ of $dX = -\theta X\,dt + \sigma\,dB^H$ from a fixed $X_0$, type I, (time, time), exactly.

    $X_t = S_t - e^{-\theta t} S_0$ with $S$ the stationary solution, of variance
    $\rho_0 = \sigma^2 \Gamma(2H + 1) / 2 \theta^{2H}$ and variogram $D$ (see `variogram`), so that it is

    $$\rho_0 (1 - e^{-\theta s})(1 - e^{-\theta t}) - D(|t - s|) + e^{-\theta s} D(t) + e^{-\theta t} D(s)$$

    Args:
        times: in seconds, (time,), 0 or later, in any order.
        hurst: $H$, between 0 and 1.
        theta: $\theta$, per second, at least 0; at 0, it is the covariance of $\sigma B^H$.
        sigma: $\sigma$, in the state's unit per second$^H$.

    Raises:
        ConfigError: $H$, $\theta$ or a time is impossible.

    Source: Cheridito, Kawaguchi, Maejima 2003 for the stationary solution; the start at a fixed $X_0$ is derived here.
    """
    refuse_bad_hurst(hurst)
    times = checked_times(times)
    if not 0 <= theta < math.inf:
        raise ConfigError(f"theta is {theta}; give a number of at least 0.")
    if theta == 0:
        return sigma**2 * fractional_covariance(times, times, hurst)
    decay, gap = np.exp(-theta * times), variogram(times, hurst, theta)
    started = gamma(2 * hurst + 1) / (2 * theta ** (2 * hurst)) * np.outer(-np.expm1(-theta * times), -np.expm1(-theta * times))
    between = variogram(np.abs(times[:, None] - times[None]), hurst, theta)
    return sigma**2 * (started - between + np.outer(decay, gap) + np.outer(gap, decay))


def variogram(lags: np.ndarray, hurst: float, theta: float) -> np.ndarray:
    r"""$D(\tau) = \rho(0) - \rho(\tau)$ of the stationary solution of $dS = -\theta S\,dt + dB^H$, same shape as `lags`.

    With $a = 2H$, $x = \theta \tau$ and $\Gamma = \Gamma(a + 1)$, $\theta^a D$ is

    $$\tfrac12 \Gamma - \tfrac14 \Bigl[e^x\, \Gamma(a + 1, x) + e^{-x} \Gamma
    + \tfrac{x^{a + 1}}{a + 1}\, {}_1F_1(1; a + 2; -x) - 2 x^a\Bigr]$$

    computed from its power series at small $x$, and from its asymptotic series at great $x$, where the form above would
    cancel.

    Args:
        lags: $\tau$, in seconds, 0 or more.
        hurst: $H$, between 0 and 1.
        theta: $\theta$, per second, above 0.
    """
    a, whole, x = 2 * hurst, gamma(2 * hurst + 1), theta * lags
    low, middle, high = x.clip(max=SMALL), x.clip(SMALL, LARGE), x.clip(min=LARGE)
    series = sum(low ** (a + 2 * j) * whole / gamma(a + 2 * j + 1) for j in range(10))
    near = series / 2 - whole * np.sinh(low / 2) ** 2
    grown = whole * (np.exp(middle) * gammaincc(a + 1, middle) + np.exp(-middle))
    convolved = middle ** (a + 1) / (a + 1) * hyp1f1(1.0, a + 2, -middle)
    between = whole / 2 - (grown + convolved - 2 * middle**a) / 4
    falling = np.cumprod(a - np.arange(20))  # a (a - 1) ... (a - k + 1) for k = 1, 2, ...
    far = whole / 2 - sum(falling[k - 1] * high ** (a - k) for k in range(2, 21, 2)) / 2
    return theta**-a * np.select([x < SMALL, x < LARGE], [near, between], far)


def relaxed(noise: np.ndarray, theta: float, dt: float) -> np.ndarray:
    r"""$B_t - \theta \int_0^t e^{-\theta (t - v)} B_v\,dv$ of paths (path, time) from 0 with steps `dt`, by trapezoids."""
    decay = math.exp(-theta * dt)
    integral = np.asarray(lfilter([dt / 2, decay * dt / 2], [1.0, -decay], noise, axis=1))
    return noise - theta * integral


def gaussian_paths(rng: np.random.Generator, times: np.ndarray, covariance: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Paths of mean 0 that start at 0, (path, time), of the `covariance` at `times` (path, time), whose first are 0."""
    white = rng.standard_normal(times[:, 1:].shape)
    if (times == times[0]).all():
        values = white @ np.linalg.cholesky(covariance(times[0, 1:])).T
    else:
        values = np.stack([np.linalg.cholesky(covariance(row[1:])) @ z for row, z in zip(times, white, strict=True)])
    return np.pad(values, ((0, 0), (1, 0)))


def equally_spaced(times: np.ndarray) -> bool:
    """Whether all trials share times (trial, time) of equal distances, up to rounding."""
    steps = np.diff(times, axis=1)
    return bool(np.ptp(steps) < 1e-6 * steps.mean())


def checked_times(times: np.ndarray) -> np.ndarray:
    """`times` in float64.

    Raises:
        ConfigError: one is NaN, infinite or below 0.
    """
    times = np.asarray(times, np.float64)
    bad = np.flatnonzero(~((times >= 0) & (times < math.inf)))
    if len(bad):
        raise ConfigError(f"Time {bad[0]} is {times[bad[0]]}; give finite times of at least 0 s.")
    return times


def refuse_bad_hurst(hurst: float, what: str = "The Hurst index") -> None:
    """Raises:
    ConfigError: `hurst` is not between 0 and 1.
    """
    if not 0 < hurst < 1:
        raise ConfigError(f"{what} is {hurst}; give a number above 0 and below 1.")


def refuse_bad_kind(kind: str, what: str = "The kind of fractional Brownian motion") -> None:
    """Raises:
    ConfigError: `kind` is neither of the two.
    """
    if kind not in KINDS:
        raise ConfigError(f"{what} is {kind!r}; give type_i or type_ii.")
