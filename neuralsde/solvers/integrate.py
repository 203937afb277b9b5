"""The one fixed-grid loop."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recompute

from neuralsde.errors import ConfigError, DivergenceError
from neuralsde.noise import AbstractNoise
from neuralsde.sde import AbstractChainDrift, AbstractSDE
from neuralsde.solvers.base import AbstractSolver, State
from neuralsde.solvers.fused_euler import fusable, fused_euler

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
        fused: use `fused_euler` where it fits, without checkpointing: the same solution and gradients, faster.

    Raises:
        ConfigError: solver and equation do not fit, or the times or their shape are wrong.
        DivergenceError: the solution stopped being finite.
    """
    solver.check(sde)
    grid = time_grid(times, z0, substeps)
    if fused and not checkpoint and isinstance(sde, AbstractChainDrift) and fusable(sde, solver, grid):
        increments = noise.increments(grid, (*z0.shape[:-1], sde.noise_size(z0.shape[-1])), solver.levy_area, z0.dtype)
        path = fused_euler(sde, z0, grid.to(z0.dtype), increments)[::substeps]
    else:
        path = _loop(sde, solver, z0, grid, noise, substeps, checkpoint)
    check_finite(path, grid[::substeps])
    return path


def _loop(
    sde: AbstractSDE,
    solver: AbstractSolver,
    z0: Tensor,
    grid: Tensor,
    noise: AbstractNoise,
    substeps: int,
    checkpoint: bool,
) -> Tensor:
    """The solution at every `substeps`-th point of `grid`."""
    steps = len(grid) - 1
    lengths = stretches(steps) if checkpoint else [steps]
    sources = noise.spawn(lengths) if checkpoint else [noise]
    state, kept, start = solver.init(sde, grid[0].to(z0.dtype), z0), [z0], 0
    for source, length in zip(sources, lengths, strict=True):
        arguments = sde, solver, state, grid[start : start + length + 1], source, range(start, start + length), substeps
        state, solutions = recompute(_advance, *arguments, use_reentrant=False) if checkpoint else _advance(*arguments)
        kept += solutions
        start += length
    return torch.stack(kept)


def _advance(
    sde: AbstractSDE,
    solver: AbstractSolver,
    state: State,
    grid: Tensor,
    noise: AbstractNoise,
    numbers: range,
    substeps: int,
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
