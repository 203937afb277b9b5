"""Convolutions over the bins of a control path."""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.batch_norm import BatchNorm
from neuralsde.nn.dropout import Dropout
from neuralsde.nn.encoders.control_path import ControlPath


class ConvolutionEncoder(nn.Module):
    """Residual blocks of convolutions of several widths over the filled-in observations, which look both ways in time.

    Each block reads its input through kernels of the given widths side by side, as InceptionTime does, and normalises over
    the batch.

    Args:
        input_size: observed channels.
        duration_s: how long a trial lasts, in the data's unit of time.
        hidden_size: channels of each block, a multiple of the number of widths.
        widths: kernel widths in bins, odd.
        blocks: residual blocks.
        dropout: probability of dropping an entry of the context.
        fill: see `ControlPath`.

    Raises:
        ConfigError: a size is impossible.

    Reference: Ismail Fawaz et al., *InceptionTime*, 2020, arXiv:1909.04939.
    """

    reads_mask = True

    def __init__(
        self,
        input_size: int,
        duration_s: float,
        hidden_size: int = 64,
        widths: Sequence[int] = (5, 11, 21, 41),
        blocks: int = 3,
        dropout: float = 0.0,
        fill: str = "linear",
    ):
        super().__init__()
        if not widths or not all(type(width) is int and width > 0 and width % 2 for width in widths):
            raise ConfigError(f"model.encoder.widths is {list(widths)}; give odd whole numbers, such as [5, 11, 21, 41].")
        if type(hidden_size) is not int or hidden_size < 1 or hidden_size % len(widths):
            raise ConfigError(f"model.encoder.hidden_size is {hidden_size}; give a multiple of the {len(widths)} widths.")
        if type(blocks) is not int or blocks < 1:
            raise ConfigError(f"model.encoder.blocks is {blocks}; give a whole number of at least 1.")
        self.path = ControlPath(input_size, duration_s, fill)
        sizes = [self.path.output_size] + [hidden_size] * blocks
        self.blocks = nn.ModuleList(InceptionBlock(i, o, widths) for i, o in itertools.pairwise(sizes))
        self.dropout = Dropout(dropout)
        self.output_size = hidden_size

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        hidden = self.path(values, seen, times).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden)
        return self.dropout(hidden.transpose(1, 2))


class InceptionBlock(nn.Module):
    """Convolutions of several widths side by side, added to the input.

    Args:
        input_size: channels.
        output_size: channels, a multiple of the number of widths.
        widths: kernel widths, odd.
    """

    def __init__(self, input_size: int, output_size: int, widths: Sequence[int]):
        super().__init__()
        each = output_size // len(widths)
        self.narrow = nn.Conv1d(input_size, each, 1, bias=False)
        self.branches = nn.ModuleList(nn.Conv1d(each, each, w, padding=w // 2, bias=False) for w in widths)
        self.normalise = BatchNorm(output_size)
        self.shortcut = nn.Conv1d(input_size, output_size, 1)

    def forward(self, x: Float[Tensor, "batch channel bin"]) -> Float[Tensor, "batch feature bin"]:
        narrow = self.narrow(x)
        return nn.functional.relu(self.normalise(torch.cat([b(narrow) for b in self.branches], 1)) + self.shortcut(x))
