"""Neighbouring bins taken together, where there are more of them than steps are wanted."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def stretch_bounds(bins: int, most: int) -> Int[Tensor, " bound"]:
    """First bins of at most `most` stretches of about equal length, and the last bin, which ends the last one."""
    return torch.linspace(0, bins - 1, max(min(most, bins - 1), 1) + 1, dtype=torch.float64).round().long()


def stretch_of(bounds: Int[Tensor, " bound"], bins: int) -> Int[Tensor, " bin"]:
    """The stretch that each bin is in."""
    last = max(len(bounds) - 2, 0)
    return (torch.searchsorted(bounds, torch.arange(bins), right=True) - 1).clamp(0, last)


def stretch_means(
    x: Float[Tensor, "batch bin channel"], times: Float[Tensor, "batch bin"], bounds: Int[Tensor, " bound"]
) -> Float[Tensor, "batch stretch channel"]:
    """Means over the bins of each stretch, weighed by how long each lasts; the last bin as long as the one before."""
    bins = x.shape[1]
    if bins == 1:
        return x
    width = bin_widths(times).to(x.dtype)
    where = stretch_of(bounds, bins).to(x.device)
    sums = x.new_zeros(len(x), len(bounds) - 1, x.shape[2]).index_add(1, where, x * width[..., None])
    return sums / stretch_lengths(times, bounds).to(x.dtype)[..., None]


def stretch_lengths(times: Float[Tensor, "batch bin"], bounds: Int[Tensor, " bound"]) -> Float[Tensor, "batch stretch"]:
    """How long each stretch lasts, the last bin as long as the one before; 1 where there is one bin alone."""
    if times.shape[1] == 1:
        return torch.ones_like(times)
    where = stretch_of(bounds, times.shape[1]).to(times.device)
    return times.new_zeros(len(times), len(bounds) - 1).index_add_(1, where, bin_widths(times))


def bin_widths(times: Float[Tensor, "batch bin"]) -> Float[Tensor, "batch bin"]:
    """The time to the next bin; that of the last bin is that of the one before."""
    width = times.diff(dim=1)
    return torch.cat([width, width[:, -1:]], 1)
