from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from neuralsde.nn.local_context import Context, LocalContext


class Curve(NamedTuple):
    """Of each channel, at some points in time; each (batch, point, channel).

    Args:
        value: itself.
        slope: its derivative, per unit of time.
        bend: its second derivative; zero where a curve was not asked for it.
    """

    value: Tensor
    slope: Tensor
    bend: Tensor


class AbstractCurves(nn.Module, ABC):
    """Curves through the bins of a trial, as its context has them. A config makes them from `context_size`, `channels` and
    `bends`.

    Args:
        context_size: channels of the context.
        channels: curves.
        bends: whether second derivatives are asked for, so that first ones must be continuous.
    """

    reach: int | None  # bins to either side of a point that its curve depends on; None for all

    def __init__(self, context_size: int, channels: int, bends: bool = False):
        super().__init__()
        self.context_size, self.channels, self.bends = context_size, channels, bends

    @abstractmethod
    def start_at_zero(self, first: int) -> None:
        """Let the channels from `first` on be zero at the start of learning."""

    def start_through(self, weight: Float[Tensor, "channel passed"], offset: Float[Tensor, " channel"]) -> None:
        """Let the first channels begin near `offset + weight @ passed`, where `passed` are the last entries of a bin's context;
        curves that no such values determine begin as they are."""

    @abstractmethod
    def forward(
        self,
        context: Context,
        clock: Float[Tensor, "#batch bin"],
        t: Float[Tensor, "#batch point"],
    ) -> Curve:
        """The curves at the times `t`, in any order.

        Args:
            context: of each bin, at least two; or of those within `reach` bins of the times.
            clock: time of each bin, increasing.
            t: times from the first bin's to the last one's, in the clock's unit.
        """

    def at_bins(
        self,
        context: Context,
        clock: Float[Tensor, "#batch bin"],
        bins: Int[Tensor, "batch point"],
    ) -> Float[Tensor, "batch point channel"]:
        """The curves' values in some bins."""
        return self(context, clock, clock.expand(len(bins), -1).gather(1, bins)).value


def interval_of(clock: Float[Tensor, "#batch bin"], t: Float[Tensor, "#batch point"]) -> Int[Tensor, "batch point"]:
    """Index of the bin that begins the interval which each of `t` falls into."""
    rows = max(len(clock), len(t))
    bins = clock[0] if len(clock) == 1 else clock  # which all trials share: not a copy for each
    points = t.detach().expand(rows, -1).contiguous()
    return torch.searchsorted(bins.detach().contiguous(), points, right=True).sub_(1).clamp_(0, clock.shape[1] - 2)


def gathered(parts: Context, index: Int[Tensor, "#batch point window"]) -> Float[Tensor, "batch point window *channel"]:
    """The parts of the bins that `index` names for each point; (#batch, bin, …) or local."""
    if isinstance(parts, LocalContext):
        return parts.gathered(index)
    rows = max(len(parts), len(index))
    index = index.expand(rows, -1, -1)
    row = torch.arange(rows, device=index.device)[:, None, None] if len(parts) > 1 else torch.zeros_like(index[:, :1, :1])
    return parts[row, index]


def zero_rows(linear: nn.Linear, first: int) -> None:
    """Set the outputs from `first` on to zero."""
    with torch.no_grad():
        linear.weight[first:] = 0.0
        linear.bias[first:] = 0.0
