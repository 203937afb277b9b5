from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """One of as many equal parts of each trial.

    Args:
        index: which one, (batch,).
        of: how many there are.
    """

    index: Tensor
    of: int

    def at(self, share: Float[Tensor, "batch point"]) -> Float[Tensor, "batch point"]:
        """Shares of the whole trial, given shares of the part."""
        return (self.index[:, None] + share) / self.of


def whole(trials: int, device: torch.device) -> Part:
    """All of each trial."""
    return Part(torch.zeros(trials, dtype=torch.long, device=device), 1)


@dataclass(frozen=True)
class LocalContext:
    """The context of a stretch of each trial, where an encoder has made no other.

    Args:
        steps: of each step, (batch, step, context).
        first: the stretch's first step, (batch,).
        stride: bins per step, which share one context.
        bins: of the whole trial.
        part: what the stretch was made for.
    """

    steps: Tensor
    first: Tensor
    stride: int
    bins: int
    part: Part

    @property
    def shape(self) -> tuple[int, int, int]:
        """As of the whole context: trials, bins, channels."""
        return self.steps.shape[0], self.bins, self.steps.shape[2]

    def gathered(self, index: Int[Tensor, "#batch *point"]) -> Float[Tensor, "batch *point context"]:
        """The context in some bins, all within the stretch."""
        at = index.div(self.stride, rounding_mode="floor").expand(len(self.steps), *index.shape[1:])
        at = (at - self.first.view(-1, *[1] * (index.ndim - 1))).flatten(1)
        return self.steps.gather(1, at[..., None].expand(-1, -1, self.steps.shape[2])).unflatten(1, index.shape[1:])


Context = Tensor | LocalContext  # (batch, bin, context)


def in_bins(context: Context, bins: Int[Tensor, "batch point"]) -> Float[Tensor, "batch point context"]:
    """The context in some bins of each trial."""
    return context.gathered(bins) if isinstance(context, LocalContext) else context.take_along_dim(bins[..., None], 1)
