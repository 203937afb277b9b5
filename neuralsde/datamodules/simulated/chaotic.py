"""States of a chaotic flow, from the collection of the package `dysts`."""

import difflib
import warnings
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from neuralsde.datamodules.lorenz import above_zero
from neuralsde.datamodules.simulated.system import AbstractSystem
from neuralsde.errors import ConfigError, DivergenceError

BURN_IN, LARGEST_GAP = 50.0, 2.0
"""Periods before the first trial, in which the start is forgotten, and at most between two trials."""
SHIFT = 0.01
"""Standard deviation of the start around the collection's own, relative to each coordinate."""


class Chaotic(AbstractSystem):
    r"""A chaotic flow $\dot z = f(t, z)$ without noise, at the parameters of the collection.

    The trials of a split are consecutive stretches of one long solution, hence on the attractor, with random gaps between
    them; no two overlap. Every split has a solution of its own, from a start shifted at random. Solved by LSODA to a
    relative error of $10^{-8}$ per step; since chaos amplifies rounding, another machine may draw other trials. A
    coordinate that grows without bound, such as the phase of a drive, moves the others but is no state here.

    Args:
        name: of the flow, as `dysts.flows` spells it, such as `Rossler`.
        periods_per_second: speed, in the flow's dominant periods (that of its strongest Fourier component) per second.

    Raises:
        ConfigError: `dysts` is missing, it has no such flow, all coordinates grow without bound, or the speed is no number
            above 0.

    Source: Gilpin 2021, "Chaos as an interpretable benchmark for forecasting and data-driven modelling"
    (arXiv 2110.05266).
    """

    def __init__(self, name: str, periods_per_second: float = 1.0):
        above_zero("system.periods_per_second", periods_per_second)
        self.name, self.flow = name, find_flow(name)
        self.time_scale = periods_per_second * self.flow.period
        self.start = np.atleast_2d(np.asarray(self.flow.ic, np.float64))[0]
        self.kept = np.setdiff1d(np.arange(len(self.start)), self.flow.unbounded_indices)
        self.n_states = len(self.kept)
        if not self.n_states:
            raise ConfigError(
                f"data.system.name is {name!r}, all of whose coordinates grow without bound; choose another flow."
            )

    def states(self, rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
        """See the base class."""
        start = self.start * (1 + SHIFT * rng.normal(size=self.start.shape))
        gaps = rng.uniform(0.01, LARGEST_GAP, len(times)) * self.flow.period
        within = times * self.time_scale
        begin = BURN_IN * self.flow.period + np.cumsum(gaps) + np.concatenate([[0.0], np.cumsum(within[:-1, -1])])
        path = self.solve(start, np.concatenate([[0.0], (begin[:, None] + within).ravel()]))[1:]
        return path.reshape(*times.shape, -1)[..., self.kept]

    def solve(self, start: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The solution at `times`, in the flow's unit, from `start` at the first; (time, coordinate).

        Raises:
            DivergenceError: it breaks off, or is not finite.
        """
        span = times[0], times[-1]
        result = solve_ivp(lambda t, z: self.flow.rhs(z, t), span, start, "LSODA", times, rtol=1e-8, atol=1e-10)
        if not result.success or not np.isfinite(result.y).all():
            raise DivergenceError(f"The flow {self.name} of dysts cannot be solved ({result.message}); choose another one.")
        return result.y.T


def find_flow(name: str) -> Any:
    """The flow `name` of `dysts`.

    Raises:
        ConfigError: `dysts` is missing, or has no such flow; the sentence names those that are spelt alike.
    """
    flows = all_flows()
    if name not in flows:
        lower = {known.lower(): known for known in flows}
        close = [lower[match] for match in difflib.get_close_matches(str(name).lower(), lower, n=4, cutoff=0.5)]
        hint = f"did you mean {' or '.join(close)}?" if close else f"choose one of {', '.join(sorted(flows))}."
        raise ConfigError(f"data.system.name is {name!r}, but dysts has no such flow without delay; {hint}")
    return flows[name]()


def all_flows() -> dict[str, Any]:
    """Classes of the flows of `dysts` by name, those with a delay left out.

    Raises:
        ConfigError: `dysts` is missing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dysts warns on import that it goes without numba
            from dysts import base, flows  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ConfigError(
            f"data.system is a chaotic flow, which needs the package dysts: pip install neuralsde[chaos] ({error})."
        ) from error
    classes = {name: value for name, value in vars(flows).items() if isinstance(value, type)}
    plain = (base.DynSys, base.DynSysDelay)
    return {
        name: value
        for name, value in classes.items()
        if issubclass(value, base.DynSys) and not issubclass(value, base.DynSysDelay) and value not in plain
    }
