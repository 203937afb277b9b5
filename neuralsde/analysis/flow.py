"""A flow, and a potential, on the plane in which the visited states vary most."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuralsde.analysis.fixed_points import Field, values_of


@dataclass(frozen=True)
class Plane:
    """The plane through the mean of the visited states along their first two principal components, and a grid on it.

    Args:
        origin: the mean, (state,).
        axes: orthonormal, (2, state).
        share: of the visited states' variance along each axis, (2,).
        x: coordinates along the first axis, (column,).
        y: along the second, (row,).
    """

    origin: np.ndarray
    axes: np.ndarray
    share: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def project(self, states: np.ndarray) -> np.ndarray:
        """Coordinates in the plane, (*batch, 2), of states (*batch, state)."""
        return (states - self.origin) @ self.axes.T

    def states(self) -> np.ndarray:
        """States on the grid, (row, column, state)."""
        return self.origin + self.x[None, :, None] * self.axes[0] + self.y[:, None, None] * self.axes[1]


@dataclass(frozen=True)
class FlowField:
    """A flow on a plane's grid.

    Args:
        plane: the plane.
        vectors: the flow's components in the plane, (row, column, 2), state per second.
        speed: its speed, components out of the plane included, (row, column).
    """

    plane: Plane
    vectors: np.ndarray
    speed: np.ndarray


@dataclass(frozen=True)
class Landscape:
    """A potential on the plane of the positions' first two principal components.

    Args:
        plane: the plane.
        values: of the potential, in units of the temperature, (row, column).
    """

    plane: Plane
    values: np.ndarray


def plane_of(visited: np.ndarray, points: int = 31) -> Plane | None:
    """The plane of the visited states (n, state), its grid around all but the outermost of them; None of one dimension."""
    if visited.shape[1] < 2:
        return None
    origin = visited.mean(0)
    _, scale, axes = np.linalg.svd(visited - origin, full_matrices=False)
    share = scale[:2] ** 2 / max(float((scale**2).sum()), 1e-300)
    low, high = np.quantile((visited - origin) @ axes[:2].T, (0.002, 0.998), axis=0)
    margin = 0.2 * np.maximum(high - low, 1e-9)
    x, y = (np.linspace(a, b, points) for a, b in zip(low - margin, high + margin, strict=True))
    return Plane(origin, axes[:2], share, x, y)


def flow_on(plane: Plane, field: Field) -> FlowField:
    """The flow on the plane's grid."""
    states = plane.states()
    values = values_of(field, states.reshape(-1, states.shape[-1])).reshape(states.shape)
    return FlowField(plane, values @ plane.axes.T, np.linalg.norm(values, axis=-1))


def landscape_on(plane: Plane, potential: Callable[[Tensor], Tensor]) -> Landscape:
    """The potential on the plane's grid, its least value there as zero."""
    with torch.no_grad():
        values = potential(torch.from_numpy(plane.states())).numpy()
    return Landscape(plane, values - values.min())
