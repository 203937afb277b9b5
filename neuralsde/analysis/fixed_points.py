"""Where a flow stands still, and what it does nearby.

Source of the method: Sussillo and Barak, *Opening the black box: low-dimensional dynamics in high-dimensional recurrent neural
networks*, Neural Computation 25, 2013.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.analysis.descent import descend

Field = Callable[[Tensor], Tensor]
"""A flow: states (*batch, state) in double precision to their rates of change, per second."""

STILL, SLOW = 1e-6, 1e-2
"""Speeds, as shares of the typical one: below the first a point counts as fixed, below the second as slow."""
SAME = 1e-2
"""Points closer than this are one, in units of the visited states' spread."""
FAR = 3.0
"""Points further from the visited states' mean than so many times the furthest of them are left out."""


@dataclass(frozen=True)
class FixedPoint:
    """A state at which the flow stands still, or is slowest nearby.

    Args:
        state: (state,).
        speed: of the flow there, state per second.
        share: that speed over the median speed at the visited states.
        distance: from the nearest visited state, in units of the visited states' spread (root mean square over states).
        jacobian: derivative of the flow there, (state, state), per second.
        eigenvalues: of the Jacobian, (state,), complex, per second, the slowest to decay first.
    """

    state: np.ndarray
    speed: float
    share: float
    distance: float
    jacobian: np.ndarray
    eigenvalues: np.ndarray

    @property
    def kind(self) -> str:
        """`stable`, `saddle`, `unstable` or `marginal` (some direction neither grows nor decays); `slow` where the flow does
        not quite stand still."""
        if self.share > STILL:
            return "slow"
        growth = np.real(self.eigenvalues)
        small = 1e-6 * np.abs(self.eigenvalues).max(initial=0)
        if (np.abs(growth) <= small).any():
            return "marginal"
        return "stable" if (growth < 0).all() else "unstable" if (growth > 0).all() else "saddle"

    @property
    def time_constants_s(self) -> np.ndarray:
        """Time in which a deviation along each eigenvector falls to 1/e, (state,); negative where it grows, infinite where it
        does neither."""
        growth = np.real(self.eigenvalues)
        return np.where(growth == 0, np.inf, -1 / np.where(growth == 0, 1.0, growth))

    @property
    def frequencies_hz(self) -> np.ndarray:
        """Frequency of oscillation along each eigenvector, (state,); 0 for none."""
        return np.abs(np.imag(self.eigenvalues)) / (2 * np.pi)

    @property
    def summary(self) -> dict[str, Any]:
        """Plain numbers, for a file; infinite time constants are None."""
        constants = [float(t) if np.isfinite(t) else None for t in self.time_constants_s]
        return {
            "kind": self.kind,
            "state": self.state.tolist(),
            "speed_per_s": self.speed,
            "share_of_typical_speed": self.share,
            "distance_from_visited": self.distance,
            "eigenvalues_per_s": [[float(e.real), float(e.imag)] for e in self.eigenvalues],
            "time_constants_s": constants,
            "frequencies_hz": self.frequencies_hz.tolist(),
        }


def fixed_points(field: Field, visited: np.ndarray, seeds: int, seed: int) -> tuple[FixedPoint, ...]:
    """Where the flow's speed is smallest, found from visited states by minimising its square; the slowest first.

    Args:
        field: the flow.
        visited: states that the model goes through, (n, state), float64.
        seeds: visited states to begin from.
        seed: of their choice.
    """
    starts = np.random.default_rng(seed).permutation(visited)[:seeds]
    typical, spread = typical_speed(field, visited), spread_of(visited)
    # In units of the spread, from the mean: the solver wants numbers of about unit size.
    centre = visited.mean(0)
    furthest = FAR * np.linalg.norm(visited - centre, axis=1).max(initial=0) + SAME * spread
    origin = torch.from_numpy(centre)
    found, speeds = descend(lambda y: field(origin + spread * y) / typical, torch.from_numpy((starts - centre) / spread))
    kept: list[np.ndarray] = []
    for state, share in sorted(zip(centre + spread * found.numpy(), speeds.tolist(), strict=True), key=lambda pair: pair[1]):
        new = all(np.linalg.norm(state - other) > SAME * spread for other in kept)
        if new and share <= SLOW and np.linalg.norm(state - centre) <= furthest:
            kept.append(state)
    return tuple(described(field, state, visited, typical, spread) for state in kept)


def described(field: Field, state: np.ndarray, visited: np.ndarray, typical: float, spread: float) -> FixedPoint:
    """What the flow does at and near a state."""
    speed = float(field(torch.from_numpy(state)).norm())
    slope = jacobian(field, state)
    eigenvalues = np.linalg.eigvals(slope).astype(complex)
    order = np.lexsort((-np.imag(eigenvalues), -np.real(eigenvalues)))
    distance = np.linalg.norm(visited - state, axis=1).min() / spread
    return FixedPoint(state, speed, speed / typical, float(distance), slope, eigenvalues[order])


def jacobian(field: Field, state: np.ndarray) -> np.ndarray:
    """Derivative of the flow, (state, state)."""
    return torch.func.jacrev(field)(torch.from_numpy(state)).detach().numpy()


def typical_speed(field: Field, visited: np.ndarray) -> float:
    """Median speed of the flow at the visited states; one where it stands still everywhere."""
    return float(np.median(np.linalg.norm(values_of(field, visited), axis=1))) or 1.0


def values_of(field: Field, states: np.ndarray) -> np.ndarray:
    """The flow at states (n, state)."""
    with torch.no_grad():
        values: Float[Tensor, "n state"] = field(torch.from_numpy(np.ascontiguousarray(states, dtype=np.float64)))
    return values.numpy()


def spread_of(visited: np.ndarray) -> float:
    """Root mean square deviation of a coordinate of the visited states; one where they do not vary."""
    return float(np.sqrt(visited.var(0).mean())) or 1.0
