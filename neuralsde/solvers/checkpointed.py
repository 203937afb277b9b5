"""The fixed-grid loop at memory of about the square root of the number of steps.

The forward pass keeps the state at the start of each of about sqrt(N) stretches, and no graph at all (a graph that has
dropped its tensors still holds its nodes, some tens of kilobytes a step). The backward pass runs one stretch at a time
again, with a graph, and redraws its noise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.kernels.first_order import first_order
from neuralsde.sde import AbstractSDE
from neuralsde.solvers.base import AbstractSolver, State
from neuralsde.solvers.closure import gradients, inputs_with_gradient, refuse_unknown_inputs


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps: maps the state before them to the state after them and the solutions to be kept."""

    run: Callable[[State], tuple[State, list[Tensor]]]
    kept: slice  # where its solutions stand among all


def solve_stretches(
    sde: AbstractSDE,
    solver: AbstractSolver,
    z0: Float[Tensor, "*batch state"],
    t0: Tensor,
    stretches: list[Stretch],
    context: Sequence[Tensor],
) -> Float[Tensor, "times *batch state"]:
    """`z0` and the solutions kept by all `stretches`.

    Raises:
        ConfigError: the equation or the noise reads a tensor that asks for a gradient and is not in `context`.
    """
    inputs = inputs_with_gradient(sde, context)
    if torch.is_grad_enabled():
        first = t0, z0.detach()
        refuse_unknown_inputs([sde.drift(*first), sde.diffusion(*first)], inputs)

    def begin(z: Tensor) -> State:
        return solver.init(sde, t0, z)

    return _Stretches.apply(begin, stretches, z0, *inputs)


class _Stretches(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, begin: Callable[[Tensor], State], stretches: list[Stretch], z0: Tensor, *inputs: Tensor) -> Tensor:
        state, starts, kept = begin(z0), [], [z0]
        for stretch in stretches:
            starts.append(state)
            state, solutions = stretch.run(state)
            kept += solutions
        ctx.begin, ctx.stretches, ctx.single = begin, stretches, isinstance(state, Tensor)
        ctx.save_for_backward(z0, *inputs, *(x for start in starts for x in _tensors(start)))
        ctx.inputs, ctx.width = len(inputs), len(_tensors(state))
        return torch.stack(kept)

    @staticmethod
    @first_order
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        z0, *saved = ctx.saved_tensors
        inputs, starts = saved[: ctx.inputs], saved[ctx.inputs :]
        totals, adjoint = [torch.zeros_like(x) for x in inputs], None
        for n, stretch in reversed(list(enumerate(ctx.stretches))):
            before = [x.detach().requires_grad_() for x in starts[n * ctx.width : (n + 1) * ctx.width]]
            with torch.enable_grad():
                state, solutions = stretch.run(before[0] if ctx.single else tuple(before))
            after = _tensors(state)
            adjoint = adjoint or [torch.zeros_like(x) for x in after]
            refuse_unknown_inputs([*after, *solutions], [*before, *inputs])
            found = gradients([*after, *solutions], [*before, *inputs], [*adjoint, *cotangents[0][stretch.kept]])
            adjoint = found[: ctx.width]
            totals = [a + b for a, b in zip(totals, found[ctx.width :], strict=True)]
        start = z0.detach().requires_grad_()
        with torch.enable_grad():
            state = _tensors(ctx.begin(start))
        by_z0, *by_inputs = gradients(state, [start, *inputs], adjoint or [])
        return None, None, cotangents[0][0] + by_z0, *(a + b for a, b in zip(totals, by_inputs, strict=True))


def _tensors(state: State) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)
