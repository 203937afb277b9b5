r"""How a state is observed: the expected value of every channel, and values drawn around it.

A channel sees one coordinate (`loading: identity`) or a mixture of all (`random`): its signal is $s = z^\top c$ with
$|c_k| \propto U(1, 2)$, random signs and $|c| = 1$, so that uncorrelated states of unit variance give it unit variance.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from scipy.special import expit, softmax

from neuralsde.datamodules.lorenz import LARGEST_MEAN, LARGEST_SD, above_zero, at_least, at_most
from neuralsde.errors import ConfigError

Expected = Callable[[np.ndarray], np.ndarray]
"""From states (trial, bin, state) to expected values (trial, bin, channel), or (trial, bin, channel × class)."""


class AbstractObservation(ABC):
    """An observation of states.

    Class fact: `kind`, as in `DataSpec`.

    Args:
        n_channels: channels, held-in and held-out ones together; None for one per state.
        loading: `identity` or `random`.

    Raises:
        ConfigError: a setting is impossible.
    """

    kind: ClassVar[str]
    n_classes: int = 0

    def __init__(self, n_channels: int | None, loading: str):
        if n_channels is not None:
            at_least("observation.n_channels", n_channels, 1)
        if loading not in ("identity", "random"):
            raise ConfigError(f"data.observation.loading is {loading!r}; give identity or random.")
        self.n_channels, self.loading = n_channels, loading

    def channels(self, n_states: int) -> int:
        """Number of channels.

        Raises:
            ConfigError: the loading is the identity, but there is not one channel per state.
        """
        channels = n_states if self.n_channels is None else self.n_channels
        if self.loading == "identity" and channels != n_states:
            raise ConfigError(
                f"data.observation.n_channels is {channels}, but the system has {n_states} states; "
                "give data.observation.loading=random, or one channel per state."
            )
        return channels

    def matrix(self, rng: np.random.Generator, n_states: int) -> np.ndarray:
        """Weights of the signals, (state, channel), of unit length per channel."""
        if self.loading == "identity":
            return np.eye(n_states)
        size = n_states, self.channels(n_states)
        weights = rng.uniform(1, 2, size) * rng.choice((-1.0, 1.0), size)
        return weights / np.linalg.norm(weights, axis=0)

    @abstractmethod
    def readout(self, rng: np.random.Generator, states: np.ndarray) -> Expected:
        """Draw a loading and fit what is left to the training `states`, (trial, bin, state)."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
        """Values (trial, bin, channel) around what is expected."""


class Gaussian(AbstractObservation):
    r"""Values $y = s + \sigma\,\varepsilon$ with $\varepsilon \sim N(0, 1)$.

    Args:
        noise_std: $\sigma$, in units of the states: of standard deviations, where they are standardised.
        n_channels: as the base class.
        loading: as the base class.

    Raises:
        ConfigError: a setting is impossible.
    """

    kind = "real"

    def __init__(self, noise_std: float, n_channels: int | None = None, loading: str = "identity"):
        super().__init__(n_channels, loading)
        self.noise_std = 0.0 if noise_std == 0 else above_zero("observation.noise_std", noise_std)

    def readout(self, rng: np.random.Generator, states: np.ndarray) -> Expected:
        matrix = self.matrix(rng, states.shape[-1])
        return lambda z: z @ matrix

    def draw(self, rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
        return rng.normal(expected, self.noise_std)


class Poisson(AbstractObservation):
    r"""Counts $y \sim \mathrm{Poisson}(r)$ with $\ln r = b + a (s - \bar s)$ at the time of each bin.

    $a$ and $b$ are common to all channels and give the training trials the wanted statistics.

    Args:
        n_channels: neurons, held-in and held-out ones together; None for one per state.
        mean_count: mean of $r$ over trials, bins and neurons, in counts per bin.
        log_rate_sd: root mean square over neurons of the standard deviation of $\ln r$.
        loading: as the base class.

    Raises:
        ConfigError: a setting is impossible, or rates come out beyond what float32 counts exactly.
    """

    kind = "counts"

    def __init__(self, n_channels: int | None, mean_count: float, log_rate_sd: float, loading: str = "random"):
        super().__init__(n_channels, loading)
        at_most("observation.mean_count", above_zero("observation.mean_count", mean_count), LARGEST_MEAN)
        at_most("observation.log_rate_sd", above_zero("observation.log_rate_sd", log_rate_sd), LARGEST_SD)
        self.mean_count, self.log_rate_sd = mean_count, log_rate_sd

    def readout(self, rng: np.random.Generator, states: np.ndarray) -> Expected:
        matrix = self.matrix(rng, states.shape[-1])
        signal = states @ matrix
        mean, spread = signal.mean((0, 1)), np.sqrt(signal.var((0, 1)).mean())
        if spread == 0:
            raise ConfigError("data.observation is Poisson, but the states of data.system never vary; give them noise.")
        slope = self.log_rate_sd / spread
        bias = np.log(self.mean_count) - np.log(np.exp(slope * (signal - mean)).mean())
        return lambda z: np.exp(bias + slope * (z @ matrix - mean))

    def draw(self, rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
        if not expected.max() < LARGEST_MEAN:
            raise ConfigError(
                f"data.observation.log_rate_sd is {self.log_rate_sd:g}, but rates then reach {expected.max():.3g} counts per "
                f"bin, above {LARGEST_MEAN:g}; give less."
            )
        return rng.poisson(expected)


class Bernoulli(AbstractObservation):
    r"""Binary values, 1 with probability $1 / (1 + e^{-a s})$: at great $a$, the sign of the signal.

    Args:
        gain: $a$, logit per unit of signal.
        n_channels: as the base class.
        loading: as the base class.

    Raises:
        ConfigError: a setting is impossible.
    """

    kind = "binary"

    def __init__(self, gain: float, n_channels: int | None = None, loading: str = "identity"):
        super().__init__(n_channels, loading)
        self.gain = above_zero("observation.gain", gain)

    def readout(self, rng: np.random.Generator, states: np.ndarray) -> Expected:
        matrix = self.matrix(rng, states.shape[-1])
        return lambda z: expit(self.gain * (z @ matrix))

    def draw(self, rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
        return rng.random(expected.shape) < expected


class Categorical(AbstractObservation):
    r"""Class indices, near the signal: $P(y = k) \propto \exp(-\frac{a}{2} (s - c_k)^2)$.

    The centres $c_k$ are spread evenly over $[-1, 1]$. The logits are affine in the signal, up to a term common to all
    classes. What is expected of a channel is its classes' probabilities, side by side.

    Args:
        n_classes: classes, two or more.
        sharpness: $a$, per squared unit of signal; the greater, the more surely the nearest class.
        n_channels: as the base class.
        loading: as the base class.

    Raises:
        ConfigError: a setting is impossible.
    """

    kind = "category"

    def __init__(self, n_classes: int, sharpness: float, n_channels: int | None = None, loading: str = "identity"):
        super().__init__(n_channels, loading)
        at_least("observation.n_classes", n_classes, 2)
        self.n_classes, self.sharpness = n_classes, above_zero("observation.sharpness", sharpness)

    def readout(self, rng: np.random.Generator, states: np.ndarray) -> Expected:
        matrix, centres = self.matrix(rng, states.shape[-1]), np.linspace(-1, 1, self.n_classes)

        def expected(z: np.ndarray) -> np.ndarray:
            logits = -self.sharpness / 2 * ((z @ matrix)[..., None] - centres) ** 2  # (trial, bin, channel, class)
            return softmax(logits, axis=-1).reshape(*z.shape[:2], -1)

        return expected

    def draw(self, rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
        chances = expected.reshape(*expected.shape[:2], -1, self.n_classes)
        thresholds = chances[..., :-1].cumsum(-1)
        return (rng.random((*chances.shape[:3], 1)) > thresholds).sum(-1)
