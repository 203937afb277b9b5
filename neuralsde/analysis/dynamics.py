"""What a trained model's prior does without its noise."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neuralsde.analysis.fixed_points import Field, FixedPoint, fixed_points, typical_speed, values_of
from neuralsde.analysis.flow import FlowField, Landscape, flow_on, landscape_on, plane_of
from neuralsde.analysis.learned import Learned, learned_parameters
from neuralsde.errors import ConfigError
from neuralsde.evaluation.prediction import Prediction
from neuralsde.inference.path import LatentProcess
from neuralsde.sde import UnderdampedLangevin

CHECKED = 200
"""Visited states at which it is checked whether the flow changes with time."""


@dataclass(frozen=True)
class Minimum:
    """A minimum of the potential of Langevin dynamics.

    Args:
        position: (position,).
        value: of the potential, in units of the temperature, over that of the lowest minimum.
        curvatures: eigenvalues of the potential's Hessian, (position,), ascending.
    """

    position: np.ndarray
    value: float
    curvatures: np.ndarray


@dataclass(frozen=True)
class Dynamics:
    """The flow of a model's prior, in the coordinates of `prediction.latents`.

    Args:
        fixed_points: where it stands still or nearly so, the slowest first.
        flow: on the plane in which the visited latents vary most; None of one latent.
        learned: parameters, by name.
        typical_speed: median speed at the visited latents, latent per second.
        at_s: time at which a flow that changes with time was held, in seconds; None of one that does not.
        landscape: the potential of Langevin dynamics, on the plane of the visited positions; None of other dynamics.
        minima: its minima, the lowest first.
        visited: the prediction whose latents were visited.
    """

    fixed_points: tuple[FixedPoint, ...]
    flow: FlowField | None
    learned: dict[str, Learned]
    typical_speed: float
    at_s: float | int | None
    landscape: Landscape | None
    minima: tuple[Minimum, ...]
    visited: Prediction

    @property
    def summary(self) -> dict[str, Any]:
        """Plain numbers and names, for a file."""
        minima = [{"position": m.position.tolist(), "value": m.value, "curvatures": m.curvatures.tolist()} for m in self.minima]
        return {
            "fixed_points": [point.summary for point in self.fixed_points],
            "learned": {name: one.summary for name, one in self.learned.items()},
            "typical_speed_per_s": self.typical_speed,
            "at_s": self.at_s,
            **({"minima": minima} if self.landscape or minima else {}),
        }


def dynamics_of(process: LatentProcess, prediction: Prediction, at_s: float | int | None, seeds: int, seed: int) -> Dynamics:
    """Analyse the prior of a latent process around the latents that it visits.

    Args:
        process: of the model.
        prediction: whose latents are visited.
        at_s: time at which a flow that changes with time is held; None where it does not change.
        seeds: visited states from which fixed points are looked for.
        seed: of their choice.

    Raises:
        ConfigError: the process has no drift, or one that changes with time and `at_s` is None; or a setting is impossible.
    """
    if type(seeds) is not int or seeds < 1:
        raise ConfigError(f"dynamics got seeds={seeds}; give a whole number of at least 1.")
    equation = process.equation()
    exact = copy.deepcopy(process).double().cpu().requires_grad_(False).eval()
    visited = prediction.latents.reshape(-1, prediction.latents.shape[-1]).astype(np.float64)
    if at_s is None:
        refuse_time(exact, visited, float(prediction.axes.times.max()))

    def field(states: torch.Tensor) -> torch.Tensor:
        return exact.drift(states, at_s or 0.0)

    points, plane = fixed_points(field, visited, seeds, seed), plane_of(visited)
    is_langevin = isinstance(equation, UnderdampedLangevin)
    landscape, minima = potential_of(exact, visited, points) if is_langevin else (None, ())
    return Dynamics(
        fixed_points=points,
        flow=None if plane is None else flow_on(plane, field),
        learned=learned_parameters(process),
        typical_speed=typical_speed(field, visited),
        at_s=at_s,
        landscape=landscape,
        minima=minima,
        visited=prediction,
    )


def refuse_time(process: LatentProcess, visited: np.ndarray, duration_s: float) -> None:
    """Raises:
    ConfigError: the flow at the visited states changes in the course of a trial.
    """
    some = visited[:: max(1, len(visited) // CHECKED)]

    def at(t_s: float) -> Field:
        return lambda states: process.drift(states, t_s)

    first, *later = (values_of(at(t), some) for t in (0.0, duration_s / 2, duration_s))
    largest = max(float(np.abs(first).max()), 1e-300)
    change = max(float(np.abs(values - first).max()) for values in later) / largest
    if change > 1e-9:
        raise ConfigError(
            f"The drift of {type(process.equation()).__name__} changes in the course of a trial (by up to "
            f"{change:.0%} of its largest value), so that it has no fixed points: give at_s= (--at-s), a time from 0 to "
            f"{duration_s:g}, to look at it as it is then, or train with "
            "model/dynamics=langevin_type, which does not read the time."
        )


def potential_of(
    process: LatentProcess, visited: np.ndarray, points: tuple[FixedPoint, ...]
) -> tuple[Landscape | None, tuple[Minimum, ...]]:
    """The potential of Langevin dynamics around the visited positions, and its minima: the positions of stable points."""
    equation = process.equation()
    assert isinstance(equation, UnderdampedLangevin)
    positions = visited[:, : visited.shape[1] // 2]
    plane = plane_of(positions)
    landscape = None if plane is None else landscape_on(plane, equation.potential)
    found = [minimum_at(equation, point.state[: positions.shape[1]]) for point in points if point.kind == "stable"]
    lowest = min((m.value for m in found), default=0.0)
    minima = sorted((Minimum(m.position, m.value - lowest, m.curvatures) for m in found), key=lambda m: m.value)
    return landscape, tuple(minima)


def minimum_at(equation: UnderdampedLangevin, position: np.ndarray) -> Minimum:
    """The potential's value and curvatures at a position."""
    x = torch.from_numpy(position)
    hessian = torch.func.jacrev(torch.func.grad(equation.potential))(x)
    return Minimum(position, float(equation.potential(x)), np.linalg.eigvalsh(hessian.numpy()))
