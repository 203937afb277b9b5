from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.nn.encoders.video import GROUPS, SMALLEST, laid_out, stage_widths

DARK = -2.0  # log-odds of a pixel at the start, about 0.12


class VideoDecoder(nn.Module):
    """A frame from each bin by itself: the pixels' values in (0, 1), row by row.

    A linear layer to 4 x 4 pixels, a stage of convolution, normalisation and doubling per halving of the encoder, two further
    convolutions and a sigmoid. Frames start dark. For `model.likelihood.readout=identity`, which takes the pixels as they are.

    Args:
        input_size: channels per bin: the latent state and, where there is one, the content.
        target_dim: pixels of a frame, a square with a side of 8, 16, 32, 64, … pixels.
        hidden_size: channels of the last stages, four times as many in the first one; a multiple of 8.

    Raises:
        ConfigError: frames are no such squares, or a size is impossible.

    Reference: as `VideoEncoder`. SiLU comes before the doubling, not after it: the same numbers for a quarter of the work.
    """

    mixes_bins: ClassVar[bool] = False

    def __init__(self, input_size: int, target_dim: int, hidden_size: int = 64):
        super().__init__()
        # The encoder's widths backwards: its last one enters, then 4F, 2F, F, F leave for 64 x 64 pixels.
        first, *widths = *reversed(stage_widths(target_dim, hidden_size, "model.decoder VideoDecoder")), hidden_size
        stages = [doubling(i, o) for i, o in zip((first, *widths), widths, strict=False)]
        last = nn.Conv2d(hidden_size, 1, 3, padding=1)
        last.bias = nn.Parameter(torch.full((1,), DARK))
        self.start = nn.Sequential(nn.Linear(input_size, SMALLEST**2 * first), nn.Unflatten(1, (first, SMALLEST, SMALLEST)))
        self.frame = nn.Sequential(*stages, nn.Conv2d(hidden_size, hidden_size, 3, padding=1), nn.SiLU(), last, nn.Sigmoid())
        self.output_size = target_dim

    def forward(self, input: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin feature"]:
        frames: Tensor = self.frame(laid_out(self.start(input.flatten(0, 1))))
        return torch.reshape(frames, (*input.shape[:2], self.output_size))


def doubling(channels: int, out_channels: int) -> nn.Sequential:
    """Doubles the side of a frame."""
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 3, padding=1),
        nn.GroupNorm(GROUPS, out_channels),
        nn.SiLU(),
        nn.Upsample(scale_factor=2),
    )
