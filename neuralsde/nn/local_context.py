from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
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
class Stretch:
    """Bins of each trial, one after the other, that the context of a part of it is made from.

    Args:
        part: the part.
        begin: the first bin, (batch,); before the trial's own first one where that is near.
        length: how many bins, for each trial as many.
    """

    part: Part
    begin: Tensor
    length: int

    @property
    def bins(self) -> Int[Tensor, "batch bin"]:
        """The bins, in turn; some may be none of the trial's."""
        return self.begin[:, None] + torch.arange(self.length, device=self.begin.device)

    def of(self, values: Shaped[Tensor, "batch any_bin channel"]) -> Shaped[Tensor, "batch bin channel"]:
        """The part of `values` that is of these bins; of the nearest bin where there is none."""
        row = torch.arange(len(values), device=values.device)[:, None]
        return values[row, self.bins.clamp(0, values.shape[1] - 1)]


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
        """The context in some bins.

        Raises:
            IndexError: one is beyond the stretch.
        """
        trials, held = self.steps.shape[:2]
        alone = [1] * (index.ndim - 1)
        at = index.div(self.stride, rounding_mode="floor") - self.first.view(-1, *alone)
        if at.numel() and not 0 <= at.amin() <= at.amax() < held:
            raise IndexError("The context that is asked for is beyond the stretch that it was made for.")
        rows = at + torch.arange(0, trials * held, held, device=at.device).view(-1, *alone)
        return self.steps.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, rows.shape)  # gather is 40 times slower


Context = Tensor | LocalContext  # (batch, bin, context)


def in_bins(context: Context, bins: Int[Tensor, "batch point"]) -> Float[Tensor, "batch point context"]:
    """The context in some bins of each trial."""
    return context.gathered(bins) if isinstance(context, LocalContext) else context.take_along_dim(bins[..., None], 1)
