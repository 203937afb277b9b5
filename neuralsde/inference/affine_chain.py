"""Chains whose steps are affine in the state, mode by mode: two operations a step, and a backward pass by hand."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


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


def _follow(states: Tensor, matrices: Tensor, offsets: Tensor) -> Tensor:
    """Fill `states` in from its first entry."""
    first, second = matrices.unbind(3)  # columns
    for state, after, one, other, offset in zip(states[:-1], states[1:], first, second, offsets, strict=True):
        torch.addcmul(torch.addcmul(offset, one, state[:, :1]), other, state[:, 1:], out=after)
    return states


class _AffineChain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, start: Tensor, matrices: Tensor, offsets: Tensor) -> Tensor:
        states = start.new_empty(len(offsets) + 1, *start.shape)
        states[0] = start
        ctx.save_for_backward(matrices, _follow(states, matrices, offsets))
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        matrices, states = ctx.saved_tensors
        along = torch.empty_like(gradient)
        along[0] = gradient[-1]
        _follow(along, matrices.transpose(2, 3).flip(0), gradient[:-1].flip(0))
        along = along.flip(0)
        of_matrices = along[1:, :, :, None] * states[:-1, :, None]
        if matrices.shape[1] != of_matrices.shape[1]:
            of_matrices = of_matrices.sum(1, keepdim=True)
        return along[0], of_matrices, along[1:]
