"""Exact gradients at memory that does not grow with the number of steps, by running the solution backwards."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.kernels.first_order import first_order
from neuralsde.noise import AbstractNoise, Increments
from neuralsde.sde import AbstractSDE
from neuralsde.solvers.closure import gradients, inputs_with_gradient, refuse_unknown_inputs
from neuralsde.solvers.integrate import Times, check_finite, time_grid
from neuralsde.solvers.reversible_heun import ReversibleHeun

STRETCH = 256  # steps whose noise is held at once


def integrate_reversible(
    sde: AbstractSDE,
    z0: Float[Tensor, "*batch state"],
    times: Times,
    noise: AbstractNoise,
    substeps: int = 1,
    context: Sequence[Tensor] = (),
) -> Float[Tensor, "times *batch state"]:
    """`integrate` with `ReversibleHeun`, whose backward pass reconstructs each state instead of storing it.

    The gradients are those of the discrete solution, to round-off. Only the solution at `times` is kept; the noise is
    drawn in stretches of 256 steps, and redrawn on the way back.

    Args:
        sde, z0, times, noise, substeps: as for `integrate`.
        context: further tensors that `sde` reads and that ask for a gradient.

    Raises:
        ConfigError: as `integrate`, or the equation reads a tensor that asks for a gradient and is not known.
        DivergenceError: the solution stopped being finite.
    """
    solver = ReversibleHeun()
    solver.check(sde)
    grid = time_grid(times, z0, substeps)
    inputs = inputs_with_gradient(sde, context)
    if torch.is_grad_enabled():
        first = grid[0].to(z0.dtype), z0.detach()
        refuse_unknown_inputs([sde.drift(*first), sde.diffusion(*first)], inputs)
    solution = _Reversible.apply(sde, solver, _Walk(grid, noise, sde, z0), substeps, z0, *inputs)
    check_finite(solution, grid[::substeps])
    return solution


class _Walk:
    """The steps of a grid in either direction: number, time and increments of each, drawn one stretch at a time."""

    def __init__(self, grid: Tensor, noise: AbstractNoise, sde: AbstractSDE, z0: Tensor):
        self.grid, self.dtype, self.steps = grid, z0.dtype, len(grid) - 1
        self.shape = (*z0.shape[:-1], sde.noise_size(z0.shape[-1]))
        self.starts = range(0, self.steps, STRETCH)
        self.sources = noise.spawn([min(STRETCH, self.steps - start) for start in self.starts])

    def steps_in(self, direction: Callable[[Sequence], Iterable]) -> Iterator[tuple[int, Tensor, Increments]]:
        """All steps, with `direction` either `iter` or `reversed`."""
        for start, source in direction(list(zip(self.starts, self.sources, strict=True))):
            grid = self.grid[start : start + STRETCH + 1]
            path = source.increments(grid, self.shape, dtype=self.dtype)
            t = grid.to(self.dtype)
            for n in direction(range(len(path))):
                yield start + n, t[n], path[n]


class _Reversible(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        sde: AbstractSDE,
        solver: ReversibleHeun,
        walk: _Walk,
        substeps: int,
        z0: Tensor,
        *inputs: Tensor,
    ) -> Tensor:
        state, kept = solver.init(sde, walk.grid[0], z0), [z0]
        for n, t, path in walk.steps_in(iter):
            state = solver.step(sde, t, state, path)
            if (n + 1) % substeps == 0:
                kept.append(state[0])
        ctx.sde, ctx.solver, ctx.walk, ctx.substeps = sde, solver, walk, substeps
        ctx.save_for_backward(*state, *inputs)
        return torch.stack(kept)

    @staticmethod
    @first_order
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        sde, solver, outputs = ctx.sde, ctx.solver, cotangents[0]
        (*state,) = ctx.saved_tensors[:2]
        inputs = ctx.saved_tensors[2:]
        adjoint = [torch.zeros_like(outputs[0]), torch.zeros_like(outputs[0])]
        totals = [torch.zeros_like(x) for x in inputs]
        for n, t, path in ctx.walk.steps_in(reversed):
            if (n + 1) % ctx.substeps == 0:
                adjoint[0] = adjoint[0] + outputs[(n + 1) // ctx.substeps]
            before = [x.requires_grad_() for x in solver.inverse(sde, t, tuple(state), path)]
            with torch.enable_grad():
                after = solver.step(sde, t, tuple(before), path)
            found = gradients(after, [*before, *inputs], adjoint)
            adjoint, totals = found[:2], [a + b for a, b in zip(totals, found[2:], strict=True)]
            state = [x.detach() for x in before]
        return None, None, None, None, outputs[0] + adjoint[0] + adjoint[1], *totals
