"""What irregular observations say of a time near them: local means, their spread, and how much was observed there."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Smoothed(NamedTuple):
    """Local moments of each channel; all 0 where nothing was observed.

    Args:
        mean: weighted mean, (batch, row, channel, width).
        std: weighted standard deviation, same shape.
        weight: sum of the weights, same shape: with an endless width the number of observations.
    """

    mean: Float[Tensor, "batch row channel width"]
    std: Float[Tensor, "batch row channel width"]
    weight: Float[Tensor, "batch row channel width"]


def smoothed(
    values: Float[Tensor, "batch row channel"],
    seen: Bool[Tensor, "batch row channel"],
    times: Float[Tensor, "batch row"],
    widths: Sequence[float],
) -> Smoothed:
    r"""Moments of the values that were seen, weighed by $k(t, t_i) = \exp(-|t - t_i| / w)$ for each width $w$.

    Args:
        values: what was observed.
        seen: where.
        times: of the rows, increasing.
        widths: in the unit of the times; `math.inf` weighs all observations alike.

    Source: Shukla, Marlin, *Interpolation-prediction networks for irregularly sampled time series*, 2019, arXiv:1909.07782,
    whose kernels are Gaussian and learned.
    """
    known = seen.to(values.dtype)
    sums = torch.cat([known, values * known, values.square() * known], -1)
    apart = (times[:, :, None] - times[:, None]).abs().to(values.dtype)
    found = torch.stack([torch.exp(-apart / width) @ sums for width in widths], -1)
    weight, first, second = found.chunk(3, 2)
    safe = weight.clamp(min=torch.finfo(values.dtype).tiny)
    mean = first / safe
    return Smoothed(mean, (second / safe - mean.square()).clamp(min=0).sqrt(), weight)
