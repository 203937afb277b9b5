"""Attention among the bins of a trial, and the codes that tell it where a bin is."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.dropout import Dropout
from neuralsde.shares import is_divided


class SelfAttentionLayer(nn.Module):
    """`torch.nn.TransformerEncoderLayer` with ReLU and batch first, without its copies.

    Args:
        size: channels.
        heads: attention heads.
        feedforward_size: width of the feed-forward part.
        dropout: dropout probability (attention weights, feed-forward, residual branches).
        norm_first: normalise before each branch rather than after it.
        causal: a bin sees itself and the bins before it; False lets every bin see every other.

    Reference: Vaswani et al., 2017, arXiv:1706.03762.
    """

    def __init__(self, size: int, heads: int, feedforward_size: int, dropout: float, norm_first: bool, causal: bool = False):
        super().__init__()
        self.heads, self.norm_first, self.causal = heads, norm_first, causal
        self.in_proj, self.out_proj = nn.Linear(size, 3 * size), nn.Linear(size, size)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)
        self.linear1, self.linear2 = nn.Linear(size, feedforward_size), nn.Linear(feedforward_size, size)
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.dropout = Dropout(dropout)

    def scale_branches(self, factor: float) -> None:
        """Scale the weights of the residual branches, once, at the start."""
        with torch.no_grad():
            for linear in (self.linear1, self.linear2, self.out_proj):
                linear.weight.mul_(factor)

    def forward(self, x: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin channel"]:
        if self.norm_first:
            x = x + self.attend(self.norm1(x))
            return x + self.feed_forward(self.norm2(x))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.feed_forward(x))

    def attend(self, x: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin channel"]:
        """Scaled dot-product attention among the bins."""
        query, key, value = self.in_proj(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # Divided among processes, each draws for its own trials, which the fused kernel cannot.
        if self.training and self.dropout.p > 0 and (x.device.type == "cpu" or is_divided()):
            scores = (query * query.shape[-1] ** -0.5) @ key.mT
            if self.causal:
                scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1), -math.inf)
            mixed = self.dropout(scores.softmax(-1)) @ value
        else:
            p = self.dropout.p if self.training else 0.0
            mixed = nn.functional.scaled_dot_product_attention(query, key, value, dropout_p=p, is_causal=self.causal)
        return self.dropout(self.out_proj(mixed.transpose(1, 2).flatten(2)))

    def feed_forward(self, x: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin channel"]:
        """Two linear layers, bin by bin."""
        return self.dropout(self.linear2(self.dropout(self.linear1(x).relu_())))


def time_code(
    times: Float[Tensor, "#batch bin"], duration_s: float, size: int, cycles: tuple[float, float] = (0.5, 50.0)
) -> Float[Tensor, "#batch bin {size}"]:
    r"""Sines and cosines of the time, $\sin 2\pi f_k t/T$ and $\cos 2\pi f_k t/T$: a position code for any bins at any times.

    Args:
        times: $t$ of each bin, in seconds.
        duration_s: $T$, time from the first to the last bin, in seconds.
        size: channels of the code; the first half are sines.
        cycles: lowest and highest $f_k$, in cycles per trial; the others are spread evenly on a log scale.
    """
    lowest, highest = (math.log10(f) for f in cycles)
    frequency = torch.logspace(lowest, highest, (size + 1) // 2, dtype=times.dtype, device=times.device)
    angle = (2 * math.pi / duration_s) * times[..., None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=-1)[..., :size]


def add_positions(
    x: Float[Tensor, "batch bin channel"], positions: Float[Tensor, "position channel"] | None, part: str
) -> Float[Tensor, "batch bin channel"]:
    """`x` with a learned vector added to each bin, where there are such vectors.

    Args:
        x: the bins.
        positions: one vector per bin; None leaves `x` as it is.
        part: where the vectors' number is set, such as `model.decoder`.

    Raises:
        ConfigError: there are more or fewer bins than vectors.
    """
    if positions is None:
        return x
    if x.shape[1] != len(positions):
        raise ConfigError(
            f"{part}.n_bins is {len(positions)}, with a learned vector for each bin, but {x.shape[1]} bins arrived: set "
            f"{part}.n_bins=null, which learns no such vectors and takes any number of bins."
        )
    return x + positions
