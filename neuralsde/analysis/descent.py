"""Least squares by Levenberg and Marquardt's method, from many starts at once: a solver for one start at a time would spend its
time on calls of the model."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

MOST_STEPS, STALLED = 200, 30
"""Steps at most, and steps without any progress after which the search ends."""
DONE = 1e-13
"""A residual of this norm is zero."""


def descend(
    field: Callable[[Tensor], Tensor], starts: Float[Tensor, "start state"]
) -> tuple[Float[Tensor, "start state"], Float[Tensor, " start"]]:
    """States at which the norm of `field` is least nearby, and that norm.

    Args:
        field: states (*batch, state) to residuals of the same shape, both of about unit size, in double precision.
        starts: where to begin.
    """
    slopes = torch.func.vmap(torch.func.jacrev(field))
    y, damping, idle = starts, torch.full((len(starts), 1, 1), 1e-2, dtype=starts.dtype), 0
    residual = field(y)
    slope = slopes(y)
    for _ in range(MOST_STEPS):
        step = levenberg_step(slope, residual, damping)
        tried = field(y + step)
        better = (tried.norm(dim=1) < residual.norm(dim=1)) & (residual.norm(dim=1) > DONE)
        idle = 0 if gains(residual, tried, better) else idle + 1
        if idle >= STALLED or not (residual.norm(dim=1) > DONE).any():
            break
        damping = torch.where(better[:, None, None], damping / 5, damping * 3).clamp(1e-14, 1e10)
        y, residual = torch.where(better[:, None], y + step, y), torch.where(better[:, None], tried, residual)
        if better.any():
            slope = slopes(y)
    return y, residual.norm(dim=1)


def levenberg_step(
    slope: Float[Tensor, "start state state"], residual: Float[Tensor, "start state"], damping: Float[Tensor, "start 1 1"]
) -> Float[Tensor, "start state"]:
    """Minus the solution of $(J^T J + d\\,\\bar s I) x = J^T r$, $\\bar s$ the mean of the diagonal of $J^T J$."""
    square = slope.mT @ slope
    mean = square.diagonal(dim1=1, dim2=2).mean(1)[:, None, None].clamp(min=1e-30)
    eye = torch.eye(square.shape[1], dtype=square.dtype)
    return -torch.linalg.solve(square + damping * mean * eye, (slope.mT @ residual[..., None]))[..., 0]


def gains(residual: Float[Tensor, "start state"], tried: Float[Tensor, "start state"], better: Tensor) -> bool:
    """Whether a start has come nearer by more than a thousandth of what was left."""
    return bool((better & (tried.norm(dim=1) < 0.999 * residual.norm(dim=1))).any())
