"""The one fixed-grid loop."""

import math
from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError, DivergenceError
from neuralsde.noise import AbstractNoise
from neuralsde.sde import AbstractChainDrift, AbstractPublishedStable, AbstractSDE
from neuralsde.solvers.base import AbstractSolver, State
from neuralsde.solvers.checkpointed import Stretch, solve_stretches
from neuralsde.solvers.euler_maruyama import EulerMaruyama
from neuralsde.solvers.fused_euler import fusable, fused_euler
from neuralsde.solvers.fused_published import fused_published, is_published

Times = Float[Tensor, " times"] | Float[Tensor, "times *#batch 1"]


def integrate(
    sde: AbstractSDE,
    solver: AbstractSolver,
    z0: Float[Tensor, "*batch state"],
    times: Times,
    noise: AbstractNoise,
    substeps: int = 1,
    checkpoint: bool = False,
    fused: bool = True,
    context: Sequence[Tensor] = (),
) -> Float[Tensor, "times *batch state"]:
    """The solution of `sde` from `z0` at `times`, along one path of `noise`.

    Args:
        sde: the equation.
        solver: the method; its facts must fit the equation's.
        z0: initial state.
        times: increasing; shared, `(times,)`, or per sample, `(times, *batch, 1)`. In double precision the steps
            keep their length over long horizons, whatever the precision of the state.
        noise: the source of the path.
        substeps: equal steps between neighbouring times.
        checkpoint: store about the square root of the number of steps and recompute the rest in the backward pass.
            The noise is then drawn stretch by stretch too.
        fused: use `fused_euler` or `fused_published` where it fits, without checkpointing: the same solution and gradients,
            faster.
        context: with checkpointing, further tensors that `sde` reads and that ask for a gradient.

    Raises:
        ConfigError: solver and equation do not fit, or the times or their shape are wrong, or a tensor that asks for
            a gradient is missing in `context`.
        DivergenceError: the solution stopped being finite.
    """
    solver.check(sde, noise)
    grid = time_grid(times, z0, substeps)
    if fused and not checkpoint and isinstance(sde, AbstractChainDrift) and fusable(sde, solver, z0, grid):
        increments = noise.increments(grid, (*z0.shape[:-1], sde.noise_size(z0.shape[-1])), solver.levy_area, z0.dtype)
        path = fused_euler(sde, z0, grid.to(z0.dtype), increments, substeps)
    elif fused and not checkpoint and isinstance(sde, AbstractPublishedStable) and is_published(sde, solver, grid):
        increments = noise.increments(grid, z0.shape, solver.levy_area, z0.dtype)
        path = fused_published(sde, z0, grid.to(z0.dtype), increments, substeps)
    elif checkpoint:
        plan = _plan(sde, solver, grid, noise, substeps)
        path = solve_stretches(sde, solver, z0, grid[0].to(z0.dtype), plan, context)
    else:
        state = solver.init(sde, grid[0].to(z0.dtype), z0)
        path = torch.stack([z0, *_advance(sde, solver, grid, noise, range(len(grid) - 1), substeps, state)[1]])
    # A step adds to the state, so that what is not finite stays so; drift-implicit and log-space steps may do otherwise.
    if type(solver) is not EulerMaruyama or not torch.isfinite(path[-1].detach().sum()):
        check_finite(path, grid[::substeps])
    return path


def _plan(sde: AbstractSDE, solver: AbstractSolver, grid: Tensor, noise: AbstractNoise, substeps: int) -> list[Stretch]:
    """The steps of `grid` in stretches, each with a source of noise that it can ask again."""
    lengths, plan, start = stretches(len(grid) - 1), [], 0
    for source, length in zip(noise.spawn(lengths), lengths, strict=True):
        stop = start + length
        arguments = grid[start : stop + 1], source, range(start, stop), substeps
        run = partial(_advance, sde, solver, *arguments)
        plan.append(Stretch(lambda state, run=run: run(state=state), slice(start // substeps + 1, stop // substeps + 1)))
        start = stop
    return plan


def _advance(
    sde: AbstractSDE,
    solver: AbstractSolver,
    grid: Tensor,
    noise: AbstractNoise,
    numbers: range,
    substeps: int,
    state: State,
) -> tuple[State, list[Tensor]]:
    """The steps `numbers` over `grid`, and the solutions at those that end at an output time."""
    z = solver.solution(state)
    path = noise.increments(grid, (*z.shape[:-1], sde.noise_size(z.shape[-1])), solver.levy_area, z.dtype)
    t, solutions = grid.to(z.dtype), []
    for n, number in enumerate(numbers, start=1):
        state = solver.step(sde, t[n - 1], state, path[n - 1])
        if (number + 1) % substeps == 0:
            solutions.append(solver.solution(state))
    return state, solutions


def time_grid(times: Times, z0: Float[Tensor, "*batch state"], substeps: int = 1) -> Float[Tensor, "points *#batch 1"]:
    """All step ends, on the device of `z0`, in a shape that broadcasts against the state.

    Raises:
        ConfigError: times that do not increase, fewer than two, or of a shape that is not the batch's.
    """
    if substeps < 1:
        raise ConfigError(f"There must be at least one step between times, but substeps is {substeps}.")
    if times.ndim == 1:
        times = times.view(-1, *[1] * z0.ndim)
    if (
        len(times) < 2
        or times.ndim != z0.ndim + 1
        or any(a not in (1, b) for a, b in zip(times.shape[1:], (*z0.shape[:-1], 1), strict=True))
    ):
        raise ConfigError(
            f"Times must have shape (times,) or (times, *batch, 1) with two times or more, but they have shape "
            f"{tuple(times.shape)} for a state of shape {tuple(z0.shape)}."
        )
    times = times.to(z0.device)
    steps = times.diff(dim=0)
    if not (steps > 0).all():
        bad = int((steps <= 0).flatten(1).any(1).nonzero()[0])
        pair = (
            times[bad].flatten()[(steps[bad] <= 0).flatten()][0],
            times[bad + 1].flatten()[(steps[bad] <= 0).flatten()][0],
        )
        raise ConfigError(f"Times must increase, but time {bad} is {pair[0]:g} and time {bad + 1} is {pair[1]:g}.")
    parts = torch.arange(substeps, device=times.device, dtype=times.dtype) / substeps
    inner = times[:-1, None] + steps[:, None] * parts.view(1, -1, *[1] * z0.ndim)
    return torch.cat([inner.flatten(0, 1), times[-1:]])


def stretches(steps: int) -> list[int]:
    """About the square root of `steps` lengths, as equal as can be, that add up to it."""
    count = max(1, math.isqrt(steps))
    return [steps // count + (n < steps % count) for n in range(count)]


def check_finite(path: Float[Tensor, "times *batch state"], times: Float[Tensor, "times *#batch 1"]) -> None:
    """Look once, after the last step, whether the solution stayed finite.

    Raises:
        DivergenceError: it did not; the sentence names the first bad time and how many samples are bad in the end.
    """
    if torch.isfinite(path.detach().sum()):
        return
    bad = ~torch.isfinite(path).all(-1).flatten(1)  # (times, samples)
    if bad.any():
        first = int(bad.any(1).nonzero()[0])
        sample = int(bad[first].nonzero()[0])
        at = times[first].expand(*path.shape[1:-1], 1).flatten()[sample].item()
        raise DivergenceError(
            f"The solution stopped being finite at time {at:g} (point {first} of {len(path) - 1}), in "
            f"{int(bad.any(0).sum())} of {bad.shape[1]} samples; take smaller steps or a more stable solver."
        )
