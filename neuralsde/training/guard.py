"""Whether a step may be taken: its loss and its gradient are finite, and the loss is not absurd."""

import math
from collections import deque
from collections.abc import Iterable
from statistics import median

import torch
from torch import Tensor

RECENT = 100
"""Losses that a new one is compared with."""
ENOUGH = 20
"""Losses that have to be known for that."""


class StepGuard:
    """Looks at every step before it is taken.

    Args:
        explosion_ratio: a loss explodes that is more than this times 1 + the median size of the last 100, both in nats; None
            for never.
    """

    def __init__(self, explosion_ratio: float | None):
        self.explosion_ratio = explosion_ratio
        self.recent: deque[float] = deque(maxlen=RECENT)

    def fault(self, loss: Tensor, gradient_norm: Tensor, gradients: Iterable[Tensor]) -> str | None:
        """What forbids the step; None where it may be taken.

        Args:
            loss: of the batch.
            gradient_norm: before clipping.
            gradients: what the norm is of; read only where the norm is not finite, as squares may overflow.
        """
        value, norm = torch.stack([loss.detach().float(), gradient_norm.float()]).tolist()  # the one wait for a device
        if not math.isfinite(value):
            return f"The training loss became {value}"
        if not math.isfinite(norm) and not all(bool(g.isfinite().all()) for g in gradients):
            return "The training loss is finite, but its gradient is not,"
        if self.explodes(value):
            return f"The training loss rose to {value:.3g}, where the last ones were about {median(self.recent):.3g},"
        self.recent.append(value)
        return None

    def explodes(self, value: float) -> bool:
        """Whether a loss is out of all proportion to the last ones."""
        if self.explosion_ratio is None or len(self.recent) < ENOUGH:
            return False
        return value > self.explosion_ratio * (1 + median(map(abs, self.recent)))


def first_not_finite(tensors: Iterable[tuple[str, Tensor | None]]) -> str | None:
    """The name of the first tensor with an entry that is not finite; None where there is none."""
    return next((name for name, tensor in tensors if tensor is not None and not tensor.isfinite().all()), None)


def largest(tensors: Iterable[tuple[str, Tensor | None]]) -> str:
    """The name of the tensor with the largest entry."""
    sizes = {name: float(tensor.abs().max()) for name, tensor in tensors if tensor is not None and tensor.numel()}
    return max(sizes, key=lambda name: sizes[name])
