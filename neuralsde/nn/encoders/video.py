from math import isqrt

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError

GROUPS = 8  # of channels that are normalised together
SMALLEST = 4  # side of a frame where the convolutions end, in pixels


class VideoEncoder(nn.Module):
    r"""What stays the same in a video and what moves: a content vector, and a context per frame.

    Each frame alone goes through a stage of convolution, pooling and normalisation per halving of its side, down to 4 x 4
    pixels, and a linear layer, to features $h_t$; a learned vector stands for a frame of which nothing was seen, and for
    forward bins. Then

    $$w = \mathrm{MLP}(\mathrm{median}_t\, h_t), \qquad g = \mathrm{Conv}_3(\mathrm{SiLU}(\mathrm{Conv}_3(h))), \qquad
      g'_0 = \mathrm{MLP}([g_0, h_0, h_1, h_2])$$

    with the median over the frames seen and convolutions over time. The context of a bin is $g_t$, of the first bin, where a
    latent process reads its start, $g'_0$; the content $w$ is its last `content_size` channels in all bins, which
    `LatentModel` hands to the decoder rather than to the process.

    Args:
        input_size: pixels of a frame, a square with a side of 8, 16, 32, 64, … pixels.
        hidden_size: $F$, channels of the first stage, twice and four times as many in the next ones, and of the context; a
            multiple of 8.
        content_size: channels of $w$.

    Raises:
        ConfigError: frames are no such squares, or a size is impossible.

    Reference: Daems, Opper, Crevecoeur & Birdal, *Variational inference for SDEs driven by fractional noise*, 2024,
    arXiv:2310.12975, and its release; there the median is over all frames, since all are seen.
    """

    def __init__(self, input_size: int, hidden_size: int = 64, content_size: int = 64):
        super().__init__()
        widths = stage_widths(input_size, hidden_size, "model.encoder VideoEncoder")
        if content_size < 1:
            raise ConfigError(f"model.encoder.content_size is {content_size}; give a whole number of at least 1.")
        self.side = isqrt(input_size)
        stages = [stage(i, o) for i, o in zip((1, *widths), widths, strict=False)]
        self.frame = nn.Sequential(*stages, nn.Flatten(), nn.Linear(SMALLEST**2 * widths[-1], hidden_size))
        self.unobserved = nn.Parameter(torch.zeros(hidden_size))
        self.content = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.SiLU(), nn.Linear(hidden_size, content_size))
        self.over_time = nn.Sequential(
            nn.Conv1d(hidden_size, hidden_size, 3, padding=1), nn.SiLU(), nn.Conv1d(hidden_size, hidden_size, 3, padding=1)
        )
        self.start = nn.Sequential(
            nn.Linear(4 * hidden_size, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size), nn.SiLU()
        )
        self.content_size, self.output_size = content_size, hidden_size + content_size

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        features, any_seen = self.features(values, seen), seen.any(2)
        ahead = self.unobserved.expand(len(values), times.shape[1] - values.shape[1], -1).to(features.dtype)
        moving = torch.cat([features, ahead], 1)
        context = self.over_time(moving.mT).mT
        first = torch.arange(3, device=values.device).clamp(max=times.shape[1] - 1)
        start = self.start(torch.cat([context[:, 0], moving[:, first].flatten(1)], 1))
        content = self.content(self.median(features, any_seen))
        context = torch.cat([start[:, None], context[:, 1:]], 1)
        return torch.cat([context, content[:, None].expand(-1, times.shape[1], -1)], 2)

    def features(
        self, values: Float[Tensor, "batch observed_bin channel"], seen: Bool[Tensor, "batch observed_bin channel"]
    ) -> Float[Tensor, "batch observed_bin feature"]:
        """$h_t$ of the observed bins."""
        frames = values.masked_fill(~seen, 0.0).view(-1, 1, self.side, self.side)
        features = self.frame(laid_out(frames)).unflatten(0, values.shape[:2])
        return torch.where(seen.any(2, keepdim=True), features, self.unobserved.to(features.dtype))

    def median(
        self, features: Float[Tensor, "batch observed_bin feature"], seen: Bool[Tensor, "batch observed_bin"]
    ) -> Float[Tensor, "batch feature"]:
        """Over the bins seen, the lower of the two in the middle where their number is even; of no bin, the learned vector."""
        hidden = features.masked_fill(~seen[..., None], torch.nan)
        middle = hidden.nanmedian(1).values
        return torch.where(seen.any(1, keepdim=True), middle, self.unobserved.to(features.dtype))


def laid_out(frames: Float[Tensor, "frame channel row column"]) -> Float[Tensor, "frame channel row column"]:
    """The same frames with the channels of a pixel side by side on a CPU, whose convolutions then take 2/3 of the time."""
    return frames.to(memory_format=torch.channels_last) if frames.device.type == "cpu" else frames


def stage(channels: int, out_channels: int) -> nn.Sequential:
    """Halves the side of a frame."""
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 3, padding=1), nn.MaxPool2d(2), nn.GroupNorm(GROUPS, out_channels), nn.SiLU()
    )


def stage_widths(pixels: int, hidden_size: int, part: str) -> tuple[int, ...]:
    """Channels behind each stage of a frame's encoder: `hidden_size`, twice that, and four times that from the third on.

    Args:
        pixels: of a frame.
        hidden_size: channels of the first stage.
        part: that asks, in the sentence.

    Raises:
        ConfigError: the frame is no square whose side halves to 4 pixels, or the channels do not split into groups.
    """
    side = isqrt(pixels)
    stages = (side // SMALLEST).bit_length() - 1
    if side**2 != pixels or stages < 1 or side != SMALLEST << stages:
        raise ConfigError(
            f"{part} is for square frames with a side of 8, 16, 32, 64, … pixels, but the data have {pixels} channels: choose "
            "data=moving_digits with such a data.size, or another encoder or decoder."
        )
    if hidden_size < 1 or hidden_size % GROUPS:
        raise ConfigError(
            f"{part} got hidden_size={hidden_size}, which does not split into {GROUPS} groups of channels; give a multiple of "
            f"{GROUPS}."
        )
    return tuple(hidden_size * min(2**n, 4) for n in range(stages))
