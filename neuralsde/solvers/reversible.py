"""Exact gradients at memory that does not grow with the number of steps, by running the solution backwards."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import AbstractNoise, Increments
from neuralsde.sde import AbstractSDE
from neuralsde.solvers.closure import gradients, inputs_with_gradient, refuse_unknown_inputs
from neuralsde.solvers.integrate import Times, check_finite, time_grid
from neuralsde.solvers.reversible_heun import ReversibleHeun


def integrate_reversible(
    sde: AbstractSDE,
    z0: Float[Tensor, "*batch state"],
    times: Times,
    noise: AbstractNoise,
    substeps: int = 1,
    context: Sequence[Tensor] = (),
) -> Float[Tensor, "times *batch state"]:
    """`integrate` with `ReversibleHeun`, whose backward pass reconstructs each state instead of storing it.

    The gradients are those of the discrete solution, to round-off. Only the solution at `times` and the noise are kept.

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
    path = noise.increments(grid, (*z0.shape[:-1], sde.noise_size(z0.shape[-1])), solver.levy_area, z0.dtype)
    inputs = inputs_with_gradient(sde, context)
    t = grid.to(z0.dtype)
    if torch.is_grad_enabled():
        first = t[0], z0.detach()
        refuse_unknown_inputs([sde.drift(*first), sde.diffusion(*first)], inputs)
    solution = _Reversible.apply(sde, solver, t, path, substeps, z0, *inputs)
    check_finite(solution, grid[::substeps])
    return solution


class _Reversible(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        sde: AbstractSDE,
        solver: ReversibleHeun,
        t: Tensor,
        path: Increments,
        substeps: int,
        z0: Tensor,
        *inputs: Tensor,
    ) -> Tensor:
        state, kept = solver.init(sde, t[0], z0), [z0]
        for n in range(len(path)):
            state = solver.step(sde, t[n], state, path[n])
            if (n + 1) % substeps == 0:
                kept.append(state[0])
        ctx.sde, ctx.solver, ctx.t, ctx.path, ctx.substeps = sde, solver, t, path, substeps
        ctx.save_for_backward(*state, *inputs)
        return torch.stack(kept)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        sde, solver, path, outputs = ctx.sde, ctx.solver, ctx.path, cotangents[0]
        (*state,) = ctx.saved_tensors[:2]
        inputs = ctx.saved_tensors[2:]
        adjoint = [torch.zeros_like(outputs[0]), torch.zeros_like(outputs[0])]
        totals = [torch.zeros_like(x) for x in inputs]
        for n in reversed(range(len(path))):
            if (n + 1) % ctx.substeps == 0:
                adjoint[0] = adjoint[0] + outputs[(n + 1) // ctx.substeps]
            before = [x.requires_grad_() for x in solver.inverse(sde, ctx.t[n], tuple(state), path[n])]
            with torch.enable_grad():
                after = solver.step(sde, ctx.t[n], tuple(before), path[n])
            found = gradients(after, [*before, *inputs], adjoint)
            adjoint, totals = found[:2], [a + b for a, b in zip(totals, found[2:], strict=True)]
            state = [x.detach() for x in before]
        return None, None, None, None, None, outputs[0] + adjoint[0] + adjoint[1], *totals
