from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.attention import SelfAttentionLayer, add_positions


class TransformerDecoder(nn.Module):
    """Self-attention over the bins of a trial.

    Args:
        input_size: channels per bin.
        model_size: width of the attention layers, reached by a linear layer; None keeps `input_size` and needs none.
        heads: attention heads.
        feedforward_size: width of the layers' feed-forward part.
        layers: number of layers.
        dropout: dropout probability (attention weights, feed-forward, residual branches).
        n_bins: bins per trial; a learned position code is added when given, None leaves positions out
            and decodes paths of any length.
        norm_first: normalise before each branch rather than after it.
        fixup: scale the residual branches at the start by 0.67 layers^(-1/4) * 3^(-1/4) (T-Fixup, as the release has it).
        causal: a bin is decoded from itself and the bins before it; False lets it see all others.

    Raises:
        ConfigError: the width does not split into the heads; or, on decoding, the path has not `n_bins` bins.

    Reference: Vaswani et al., 2017, arXiv:1706.03762; T-Fixup: Huang et al., ICML 2020.
    """

    mixes_bins: ClassVar[bool] = True

    def __init__(
        self,
        input_size: int,
        model_size: int | None = None,
        heads: int = 2,
        feedforward_size: int = 512,
        layers: int = 1,
        dropout: float = 0.05,
        n_bins: int | None = None,
        norm_first: bool = False,
        fixup: bool = False,
        causal: bool = False,
    ):
        super().__init__()
        size = model_size or input_size
        if size % heads:
            raise ConfigError(f"The decoder's width {size} does not split into {heads} attention heads.")
        self.embed = nn.Linear(input_size, size) if model_size else nn.Identity()
        self.positions = nn.Parameter(0.1 * torch.randn(n_bins, size)) if n_bins else None
        stack = [SelfAttentionLayer(size, heads, feedforward_size, dropout, norm_first, causal) for _ in range(layers)]
        if fixup:
            for layer in stack:
                layer.scale_branches(0.67 * (3 * layers) ** -0.25)
        self.layers = nn.Sequential(*stack)
        self.output_size = size

    def forward(self, input: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin feature"]:
        return self.layers(add_positions(self.embed(input), self.positions, "model.decoder"))
