"""Backward passes that are written by hand and cannot be differentiated again."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Backward = Callable[..., Any]


def first_order(backward: Backward) -> Backward:
    """For the `backward` of a `torch.autograd.Function`: refuse to make gradients that are to be differentiated themselves.

    torch's `once_differentiable` lets them through as constants where the incoming gradient needs none, as that of a sum, so
    that terms of second derivatives are lost without a word.

    Raises:
        RuntimeError: called with `create_graph=True`.
    """

    @functools.wraps(backward)
    def guarded(ctx: Any, *cotangents: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "create_graph=True was asked of gradients whose backward pass cannot be differentiated: solve by integrate(…, "
                "fused=False, checkpoint=False), and choose marginals with a diagonal covariance, for second derivatives."
            )
        return backward(ctx, *cotangents)

    return guarded
