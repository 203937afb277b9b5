"""Chains whose steps are affine in the state, mode by mode: two operations a step, and a backward pass by hand."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def affine_chain(
    start: Float[Tensor, "batch pair mode"],
    matrices: Float[Tensor, "step #batch pair pair mode"],
    offsets: Float[Tensor, "step batch pair mode"],
) -> Float[Tensor, "points batch pair mode"]:
    r"""$z_{n+1} = M_n z_n + b_n$ with a matrix $M_n$ of its own for each mode, the start first.

    The gradient $\lambda_n$ of the state after step $n$ obeys $\lambda_{n-1} = g_{n-1} + M_n^\top \lambda_n$; those of $M_n$
    and $b_n$ are $\lambda_n z_n^\top$ and $\lambda_n$, all steps at once.
    """
    states: Tensor = _AffineChain.apply(start, matrices, offsets)  # pyright: ignore[reportAssignmentType]
    return states


def _follow(start: Tensor, matrices: Tensor, offsets: Tensor) -> Tensor:
    """The states, step by step."""
    first, second = matrices.unbind(3)  # columns
    states = [start]
    for one, other, offset in zip(first, second, offsets, strict=True):
        states.append(torch.addcmul(torch.addcmul(offset, one, states[-1][:, :1]), other, states[-1][:, 1:]))
    return torch.stack(states)


class _AffineChain(torch.autograd.Function):
    """All that it computes of derivatives is differentiable again: tangents and adjoints are such chains themselves."""

    generate_vmap_rule = True

    @staticmethod
    def forward(start: Tensor, matrices: Tensor, offsets: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _follow(start, matrices, offsets)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1], output)
        ctx.save_for_forward(inputs[1], output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        matrices, states = ctx.saved_tensors
        along = affine_chain(gradient[-1], matrices.transpose(2, 3).flip(0), gradient[:-1].flip(0)).flip(0)
        of_matrices = along[1:, :, :, None] * states[:-1, :, None]
        if matrices.shape[1] != of_matrices.shape[1]:
            of_matrices = of_matrices.sum(1, keepdim=True)
        return along[0], of_matrices, along[1:]

    @staticmethod
    def jvp(ctx: Any, start: Tensor, matrices: Tensor, offsets: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        fixed, states = ctx.saved_tensors
        return affine_chain(start, fixed, offsets + (matrices * states[:-1, :, None]).sum(3))
