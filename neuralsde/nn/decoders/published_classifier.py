from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.nn.batch_norm import BatchNorm
from neuralsde.nn.dropout import Dropout


class PublishedClassifier(nn.Module):
    """The head of the published stable neural SDEs' classifiers: a net on each state, then one on the last of its outputs.

    All bins get the last bin's features; in the padding of a shorter trial next to no time passes, so that its last state is
    that of its own end.

    Args:
        input_size: channels per bin, and width of all layers.
        dropout: dropout probability behind the last hidden layer.
        each_state: the first of the two nets and Glorot starts, which the code has for the archives' classes alone, not for
            Sepsis and Speech Commands.

    Reference: Oh, Lim, Kim, "Stable neural SDEs in analyzing irregular time series data", 2024, arXiv 2402.14989; its code.
    """

    mixes_bins: ClassVar[bool] = True

    def __init__(self, input_size: int, dropout: float = 0.1, each_state: bool = True):
        super().__init__()
        each = (nn.Tanh(), nn.Linear(input_size, input_size), nn.ReLU(), nn.Linear(input_size, input_size))
        self.each = nn.Sequential(*each) if each_state else nn.Identity()
        self.last = nn.Sequential(nn.Linear(input_size, input_size), BatchNorm(input_size), nn.ReLU(), Dropout(dropout))
        if each_state:
            nn.init.xavier_uniform_(self.last[0].weight)  # pyright: ignore[reportArgumentType]
            nn.init.constant_(self.last[0].bias, 0.01)  # pyright: ignore[reportArgumentType]
        self.output_size = input_size

    def forward(self, input: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin feature"]:
        return self.last(self.each(input[:, -1]))[:, None].expand(-1, input.shape[1], -1)
