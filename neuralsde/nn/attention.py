import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.nn.dropout import Dropout


class SelfAttentionLayer(nn.Module):
    """`torch.nn.TransformerEncoderLayer` with ReLU and batch first, without its copies: every bin sees every other.

    Args:
        size: channels.
        heads: attention heads.
        feedforward_size: width of the feed-forward part.
        dropout: dropout probability (attention weights, feed-forward, residual branches).
        norm_first: normalise before each branch rather than after it.

    Reference: Vaswani et al., 2017, arXiv:1706.03762.
    """

    def __init__(self, size: int, heads: int, feedforward_size: int, dropout: float, norm_first: bool):
        super().__init__()
        self.heads, self.norm_first = heads, norm_first
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
        if self.training and self.dropout.p > 0 and x.device.type == "cpu":
            scores = (query * query.shape[-1] ** -0.5) @ key.mT
            mixed = self.dropout(scores.softmax(-1)) @ value
        else:
            p = self.dropout.p if self.training else 0.0
            mixed = nn.functional.scaled_dot_product_attention(query, key, value, dropout_p=p)
        return self.dropout(self.out_proj(mixed.transpose(1, 2).flatten(2)))

    def feed_forward(self, x: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin channel"]:
        """Two linear layers, bin by bin."""
        return self.dropout(self.linear2(self.dropout(self.linear1(x).relu_())))
