import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.shares import averaged

RATE = 0.05
"""Weight of a batch in the running mean."""
FARTHEST = 10.0
"""Values are cut off at so many times what is usual."""


class RunningUnit(nn.Module):
    """Values in multiples of what is usual: of the root of a running mean over training batches of their squares, channel by
    channel. Unlike batch normalisation it keeps 0 where it is, and a batch's own values hardly enter its unit.

    Args:
        size: channels.
    """

    def __init__(self, size: int):
        super().__init__()
        self.square: Tensor
        self.register_buffer("square", torch.zeros(size))

    def forward(self, x: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin channel"]:
        if self.training:
            with torch.no_grad():
                square = averaged(x.square().mean((0, 1)))
                self.square.copy_(torch.where(self.square > 0, torch.lerp(self.square, square, RATE), square))
        unit = self.square.clamp(min=torch.finfo(x.dtype).tiny).sqrt()
        return (x / unit).clamp(-FARTHEST, FARTHEST)
