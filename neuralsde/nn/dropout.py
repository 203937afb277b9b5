import math

import torch
from torch import Tensor, nn

from neuralsde.shares import drawn, is_divided

LEVELS = 2**16


class Dropout(nn.Module):
    """`torch.nn.Dropout`, drawn sixteen bits at a time on the CPU.

    On the CPU torch draws a 64-bit number for each entry, which takes longer than the layer that follows; here it serves
    four entries. The probability is rounded to a multiple of 2^-16 and the scale is that of the rounded probability, so
    that the expectation is exact. Elsewhere it is torch's own dropout.

    Args:
        p: probability of dropping an entry.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout probability has to be in [0, 1), but is {p}")
        self.p = p

    def forward(self, x: Tensor, trials: int = 0) -> Tensor:
        """`x` with entries dropped; `trials` is the axis of the trials."""
        if not self.training or self.p == 0:
            return x
        if x.device.type == "cpu":
            dropped = round(self.p * LEVELS)
            kept = drawn(lambda shape: draw_kept(shape, dropped), x.shape, trials)
            return x * (kept * (LEVELS / (LEVELS - dropped))).to(x.dtype)
        if is_divided():
            factors = drawn(lambda shape: nn.functional.dropout(x.new_ones(shape), self.p), x.shape, trials)
            return x * factors
        return nn.functional.dropout(x, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def draw_kept(shape: tuple[int, ...], dropped: int) -> Tensor:
    """Which entries stay, where `dropped` of 65,536 go."""
    n = math.prod(shape)
    words = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    # Signed 16-bit numbers: `dropped` of the 65,536 lie below the threshold.
    return words.view(torch.int16)[:n].view(shape) >= dropped - LEVELS // 2
