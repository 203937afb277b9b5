"""The loop that steers a path, and what the path cost; see `neuralsde.inference.control` for the formulas."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.inference.affine_chain import affine_chain
from neuralsde.inference.control import LangevinPull, Steering
from neuralsde.inference.path import Estimator
from neuralsde.inference.scale import DiagonalScale, Scale
from neuralsde.nn.potentials import Quadratic
from neuralsde.noise import Increments, Transition
from neuralsde.sde import AbstractSDE, UnderdampedLangevin
from neuralsde.solvers import BAOAB, AbstractSolver


@dataclass(frozen=True)
class Plan:
    """What steers a path.

    Args:
        control: the control.
        features: its features in each bin, each (bin, batch, ·).
        scale: of the increments in each step; None for the prior's own.
    """

    control: Steering
    features: tuple[Tensor, ...]
    scale: Scale | None


class Steered(NamedTuple):
    """A controlled path, step by step (the first axis).

    Args:
        states: at every step's end, the start first, (step + 1, batch, state).
        control: $u$, (step, batch, noise).
        held: $u$ with the parameters of the control held fixed, where that was asked for.
        memory: what the noise remembers at the end, (batch, noise, process).
    """

    states: Tensor
    control: Tensor
    held: Tensor | None
    memory: Tensor | None


class AbstractMover(ABC):
    """A process on its way, step by step.

    Args:
        z: its state, (batch, state).
        memory: what its noise remembers, (batch, noise, process), or None.
    """

    z: Tensor
    memory: Tensor | None = None

    @abstractmethod
    def coordinates(self) -> Float[Tensor, "batch state"]:
        """The state as controls read it."""

    @abstractmethod
    def move(self, n: int, step: Increments) -> None:
        """Make step `n`, along increments that have been scaled and shifted."""

    def steer_at_once(self, control: Steering, features: tuple[Tensor, ...], path: Increments) -> Steered | None:
        """The whole path under a control, given its features in each step, along increments that have been scaled; None where
        it has to be followed step by step."""
        return None


class Solved(AbstractMover):
    """An equation on the grid of a solver.

    Args:
        sde: the prior's equation.
        solver: the method.
        z0: initial state.
        t: step ends.
        transitions: what makes the driving noise from Brownian increments, step by step; None where it is they.
        memory: what the noise remembers at the first time.
    """

    def __init__(
        self,
        sde: AbstractSDE,
        solver: AbstractSolver,
        z0: Float[Tensor, "batch state"],
        t: Float[Tensor, "points *#batch 1"],
        transitions: list[Transition] | None = None,
        memory: Tensor | None = None,
    ):
        self.sde, self.solver, self.t, self.z, self.memory = sde, solver, t, z0, memory
        self.state, self.transitions = solver.init(sde, t[0], z0), transitions

    def coordinates(self) -> Float[Tensor, "batch state"]:
        return self.sde.coordinates(self.z)

    def steer_at_once(self, control: Steering, features: tuple[Tensor, ...], path: Increments) -> Steered | None:
        """Of independent oscillators under a pull, whose step is affine in position and velocity, mode by mode: what the solver
        makes of a unit position and of a unit velocity without noise is its matrix, of the origin with noise its offset."""
        sde = self.sde
        # A subclass may be anything but affine.
        if type(control) is not LangevinPull or type(self.solver) is not BAOAB or type(sde) is not UnderdampedLangevin:
            return None
        if (
            type(sde.potential) is not Quadratic
            or sde.gradient not in (None, sde.potential.gradient)
            or self.transitions is not None
        ):
            return None
        gains, aim = features

        def step(z: Tensor, aim: Tensor, w: Tensor) -> Tensor:
            u = control(sde.coordinates(z), None, gains, aim)
            state = self.solver.init(sde, self.t[:-1], z)
            moved = self.solver.step(sde, self.t[:-1], state, Increments(path.dt, torch.addcmul(w, u, path.dt)))
            return self.solver.solution(moved).unflatten(-1, (2, -1))

        origin, still = torch.zeros_like(gains), torch.zeros_like(path.w)
        units = torch.eye(2, dtype=gains.dtype, device=gains.device).repeat_interleave(aim.shape[-1], 1)
        matrices = torch.stack([step(origin + unit, torch.zeros_like(aim), still) for unit in units], -2)
        offsets = step(origin, aim, path.w)
        states = affine_chain(self.z.unflatten(1, (2, -1)), matrices, offsets).flatten(2)
        return Steered(states, control(sde.coordinates(states[:-1]), None, gains, aim), None, None)

    def move(self, n: int, step: Increments) -> None:
        if self.transitions is not None:
            assert self.memory is not None
            self.memory, increment = self.transitions[n](self.memory, step.w)
            step = Increments(step.dt, increment)
        self.state = self.solver.step(self.sde, self.t[n], self.state, step)
        self.z = self.solver.solution(self.state)


def steer(mover: AbstractMover, plan: Plan, path: Increments, hold: bool = False) -> Steered:
    """A process along `path`, scaled and shifted as the plan says; the shift is constant over a step.

    Args:
        mover: the process, at its start.
        plan: what steers; as many steps of `path` fall into each of its bins.
        path: Brownian increments of the prior.
        hold: whether to evaluate the control with its parameters held fixed as well.
    """
    scaled = (
        path if plan.scale is None else Increments(path.dt, plan.scale.apply(path.w), path.space_time, path.space_time_time)
    )
    every = len(path) // len(plan.features[0])
    if not hold and not torch.compiler.is_compiling():
        by_step = tuple(part.repeat_interleave(every, 0) if every > 1 else part for part in plan.features)
        if (steered := mover.steer_at_once(plan.control, by_step, scaled)) is not None:
            return steered
    features = list(zip(*(part.unbind(0) for part in plan.features), strict=True))
    parameters = {name: p.detach() for name, p in plan.control.named_parameters()}
    states, controls, held = [mover.z], [], []
    for n, step in enumerate(one_by_one(scaled)):
        y, memory = mover.coordinates(), mover.memory
        u = plan.control(y, memory, *features[n // every])
        if hold:
            fixed = tuple(part.detach() for part in features[n // every])
            held.append(torch.func.functional_call(plan.control, parameters, (y, memory, *fixed)))
        mover.move(n, Increments(step.dt, torch.addcmul(step.w, u, step.dt), step.space_time, step.space_time_time))
        controls.append(u)
        states.append(mover.z)
    return Steered(torch.stack(states), torch.stack(controls), torch.stack(held) if hold else None, mover.memory)


def one_by_one(path: Increments) -> list[Increments]:
    """The steps of `path`; equal steps share one tensor of their length, by which a solver knows that they are equal."""
    steps = path.unbind()
    if torch.allclose(path.dt, path.dt[:1], rtol=1e-4, atol=0.0):
        steps = [Increments(steps[0].dt, step.w, step.space_time, step.space_time_time) for step in steps]
    return steps


def divergence(steered: Steered, path: Increments, scale: Scale | None, estimator: Estimator) -> Float[Tensor, "step batch"]:
    r"""Of the posterior's increments $\mathcal N(u h, S S^\top h)$ from the prior's $\mathcal N(0, h)$, step by step.

    Args:
        steered: the path.
        path: the prior's increments that drove it, before they were scaled and shifted.
        scale: $S$; None for the identity.
        estimator: how the divergence is estimated; see `Estimator`.
    """
    u, dt = steered.control, path.dt
    scale = scale or DiagonalScale(u.new_zeros(1, 1, u.shape[-1]).expand(len(u), 1, -1))
    if estimator is Estimator.ANALYTIC:
        return 0.5 * ((u.square() * dt).sum(-1) + scale.square()) - scale.log_det()
    shifted, own = scale.apply(path.w) + u * dt, path.w
    if estimator is Estimator.LANDING:
        assert steered.held is not None
        scale = scale.detached()
        own = scale.solve(shifted - steered.held * dt)
    return 0.5 * ((shifted.square() - own.square()) / dt).sum(-1) - scale.log_det()
