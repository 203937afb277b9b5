r"""A population of neurons whose log-rates follow the Lorenz system.

$$\dot x = \sigma (y - x), \quad \dot y = x (\rho - z) - y, \quad \dot z = x y - \beta z$$

with $\sigma = 10$, $\rho = 28$, $\beta = 8/3$, and


$$\ln r_n(t) = b + w_n \cdot \mathrm{standardised}(x, y, z)(t), \qquad |w_{nk}| \propto U(1, 2)$$

with random signs of the weights $w$.

Source: Sussillo et al. 2016 (LFADS, arXiv 1608.06315), whose generator starts each condition at another random state,
repeats it in many trials, and fires at a base rate of about 5 Hz.
"""

from dataclasses import dataclass, replace

import numpy as np

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
STEP = 0.005
"""Longest Runge-Kutta step, in Lorenz time."""
BURN_IN = 10.0
"""Lorenz time in which a random state falls onto the attractor."""


def lorenz(state: np.ndarray) -> np.ndarray:
    """Time derivative of states (…, 3)."""
    x, y, z = np.moveaxis(state, -1, 0)
    return np.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z], axis=-1)


def rk4(state: np.ndarray, step: float) -> np.ndarray:
    """States (…, 3) one classical Runge-Kutta step later."""
    a = lorenz(state)
    b = lorenz(state + step / 2 * a)
    c = lorenz(state + step / 2 * b)
    return state + step / 6 * (a + 2 * b + 2 * c + lorenz(state + step * c))


def random_starts(rng: np.random.Generator, n: int) -> np.ndarray:
    """Random states on the attractor, (n, 3)."""
    state = rng.normal((0.0, 0.0, RHO - 1), 8.0, (n, 3))
    for _ in range(round(BURN_IN / STEP)):
        state = rk4(state, STEP)
    return state


def trajectories(start: np.ndarray, bins: int, bin_time: float) -> np.ndarray:
    """States at the middle of every fine step from `start` (condition, 3), as (condition, bin, fine step, 3).

    Args:
        bins: number of bins.
        bin_time: width of a bin in Lorenz time; the fine steps divide it and are no longer than `STEP`.
    """
    fine = int(np.ceil(bin_time / STEP))
    states = [rk4(start, bin_time / fine / 2)]
    for _ in range(bins * fine - 1):
        states.append(rk4(states[-1], bin_time / fine))
    return np.stack(states, axis=1).reshape(len(start), bins, fine, 3)


@dataclass(frozen=True)
class Readout:
    """Log-rates as an affine function of the Lorenz state.

    Args:
        mean: state that counts as zero, (3,).
        scale: unit of each coordinate, (3,).
        weights: log-rate per unit of state, (3, neuron).
        bias: log of the base rate in counts per bin.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float = 0.0

    def standardised(self, states: np.ndarray) -> np.ndarray:
        """States (…, 3) around `mean`, in units of `scale`."""
        return (states - self.mean) / self.scale

    def rates(self, states: np.ndarray) -> np.ndarray:
        """Expected counts per bin, (condition, bin, neuron), of states (condition, bin, fine step, 3)."""
        return np.exp(self.standardised(states) @ self.weights + self.bias).mean(axis=-2)


def random_readout(
    rng: np.random.Generator, states: np.ndarray, n_neurons: int, mean_count: float, log_rate_sd: float
) -> Readout:
    """A readout that gives `states` the wanted statistics.

    Args:
        states: (condition, bin, fine step, 3); they set mean and unit of each coordinate.
        n_neurons: neurons.
        mean_count: mean rate over conditions, bins and neurons, in counts per bin.
        log_rate_sd: root mean square over neurons of the standard deviation of a neuron's log-rate.
    """
    flat = states.reshape(-1, 3)
    weights = rng.uniform(1, 2, (3, n_neurons)) * rng.choice((-1.0, 1.0), (3, n_neurons))
    readout = Readout(flat.mean(0), flat.std(0), weights)
    log_rates = readout.standardised(flat) @ weights
    readout = replace(readout, weights=weights * log_rate_sd / np.sqrt(log_rates.var(0).mean()))
    return replace(readout, bias=float(np.log(mean_count / readout.rates(states).mean())))
