import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.attention import SelfAttentionLayer


class TransformerDecoder(nn.Module):
    """Self-attention over the bins of a trial (each bin sees all others, before and after it).

    Args:
        input_size: channels per bin.
        model_size: width of the attention layers, reached by a linear layer; None keeps `input_size` and needs none.
        heads: attention heads.
        feedforward_size: width of the layers' feed-forward part.
        layers: number of layers.
        dropout: dropout probability (attention weights, feed-forward, residual branches).
        n_bins: bins per trial; a learned position code is added when given, None leaves positions out.
        norm_first: normalise before each branch rather than after it.
        fixup: scale the residual branches at the start by 0.67 layers^(-1/4) * 3^(-1/4) (T-Fixup, as the release has it).

    Reference: Vaswani et al., 2017, arXiv:1706.03762; T-Fixup: Huang et al., ICML 2020.
    """

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
    ):
        super().__init__()
        size = model_size or input_size
        if size % heads:
            raise ConfigError(f"The decoder's width {size} does not split into {heads} attention heads.")
        self.embed = nn.Linear(input_size, size) if model_size else nn.Identity()
        self.positions = nn.Parameter(0.1 * torch.randn(n_bins, size)) if n_bins else None
        stack = [SelfAttentionLayer(size, heads, feedforward_size, dropout, norm_first) for _ in range(layers)]
        if fixup:
            for layer in stack:
                layer.scale_branches(0.67 * (3 * layers) ** -0.25)
        self.layers = nn.Sequential(*stack)
        self.output_size = size

    def forward(self, input: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin feature"]:
        x = self.embed(input)
        return self.layers(x if self.positions is None else x + self.positions)
