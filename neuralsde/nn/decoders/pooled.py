from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.nn.decoders.mlp import MLPDecoder


class PooledDecoder(nn.Module):
    """Each bin from itself and from the mean of all bins so far, through hidden layers: for what is told of a whole trial.

    At a trial's last bin the mean is that of the trial, whatever rows pad it.

    Args:
        input_size: channels per bin.
        hidden_size: see `MLPDecoder`, as `layers` and `dropout`.
    """

    mixes_bins: ClassVar[bool] = True

    def __init__(self, input_size: int, hidden_size: int = 128, layers: int = 1, dropout: float = 0.0):
        super().__init__()
        self.head = MLPDecoder(2 * input_size, hidden_size, layers, dropout)
        self.output_size = self.head.output_size

    def forward(self, input: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin feature"]:
        count = torch.arange(1, input.shape[1] + 1, device=input.device, dtype=input.dtype)[:, None]
        return self.head(torch.cat([input, input.cumsum(1) / count], -1))
