"""The loop that steers a path, and what the path cost; see `neuralsde.inference.control` for the formulas."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.inference.control import Control
from neuralsde.inference.path import Estimator
from neuralsde.inference.scale import DiagonalScale, Scale
from neuralsde.noise import Increments
from neuralsde.sde import AbstractSDE
from neuralsde.solvers import AbstractSolver


class Plan(NamedTuple):
    """What steers a path.

    Args:
        control: the control.
        features: its features in each bin, each (bin, batch, ·).
        scale: of the increments in each step; None for the prior's own.
    """

    control: Control
    features: tuple[Tensor, ...]
    scale: Scale | None


class Steered(NamedTuple):
    """A controlled path, step by step (the first axis).

    Args:
        states: at every step's end, the start first, (step + 1, batch, state).
        control: $u$, (step, batch, noise).
        held: $u$ with the parameters of the control held fixed, where that was asked for.
    """

    states: Tensor
    control: Tensor
    held: Tensor | None


def steer(
    sde: AbstractSDE,
    solver: AbstractSolver,
    plan: Plan,
    z0: Float[Tensor, "batch state"],
    t: Float[Tensor, "points *#batch 1"],
    path: Increments,
    hold: bool = False,
) -> Steered:
    """`sde` from `z0` along `path`, scaled and shifted as the plan says; the shift is constant over a step.

    Args:
        sde: the prior's equation.
        solver: the method.
        plan: what steers; as many steps of `path` fall into each of its bins.
        z0: initial state.
        t: step ends.
        path: increments of the prior.
        hold: whether to evaluate the control with its parameters held fixed as well.
    """
    scaled = (
        path if plan.scale is None else Increments(path.dt, plan.scale.apply(path.w), path.space_time, path.space_time_time)
    )
    every = len(path) // len(plan.features[0])
    features = list(zip(*(part.unbind(0) for part in plan.features), strict=True))
    parameters = {name: p.detach() for name, p in plan.control.named_parameters()}
    state, z, states, controls, held = solver.init(sde, t[0], z0), z0, [z0], [], []
    for n, step in enumerate(one_by_one(scaled)):
        y = sde.coordinates(z)
        u = plan.control(y, *features[n // every])
        if hold:
            fixed = tuple(part.detach() for part in features[n // every])
            held.append(torch.func.functional_call(plan.control, parameters, (y, *fixed)))
        shifted = Increments(step.dt, torch.addcmul(step.w, u, step.dt), step.space_time, step.space_time_time)
        state = solver.step(sde, t[n], state, shifted)
        z = solver.solution(state)
        controls.append(u)
        states.append(z)
    return Steered(torch.stack(states), torch.stack(controls), torch.stack(held) if hold else None)


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
