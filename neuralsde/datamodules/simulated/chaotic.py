"""States of a chaotic flow, from the collection of the package `dysts`."""

import difflib
import warnings
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from neuralsde.datamodules.lorenz import above_zero
from neuralsde.datamodules.simulated.system import AbstractSystem
from neuralsde.errors import ConfigError, DivergenceError

TRAVEL = (50.0, 250.0)
"""Periods along one long solution between which trials start: it has come to its attractor by then."""


class Chaotic(AbstractSystem):
    r"""A chaotic flow $\dot z = f(t, z)$ without noise, at the parameters of the collection.

    Each trial starts at a random time of one long solution, hence on the attractor. Solved by LSODA to a relative error
    of $10^{-8}$ per step. A phase that grows without bound, of a driven flow, moves the others but is no state here.

    Args:
        name: of the flow, as `dysts.flows` spells it, such as `Rossler`.
        periods_per_second: speed, in the flow's dominant periods (that of its strongest Fourier component) per second.

    Raises:
        ConfigError: `dysts` is missing, it has no such flow, or the speed is no number above 0.

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

    def states(self, rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
        """See the base class."""
        begin = rng.uniform(*TRAVEL, len(times)) * self.flow.period
        order = np.argsort(begin)
        starts = np.empty((len(times), len(self.start)))
        starts[order] = self.solve(self.start, np.concatenate([[0.0], begin[order]]))[1:]
        trials = zip(starts, begin[:, None] + times * self.time_scale, strict=True)
        return np.stack([self.solve(start, t) for start, t in trials])[..., self.kept]

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
