from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn


class PublishedClassifier(nn.Module):
    """The head of the published stable neural SDEs' classifiers: a net on each state, then one on the last of its outputs.

    All bins get the last bin's features, so that trials have to be of one length.

    Args:
        input_size: channels per bin, and width of all layers.
        dropout: dropout probability behind the last hidden layer.

    Reference: Oh, Lim, Kim, "Stable neural SDEs in analyzing irregular time series data", 2024, arXiv 2402.14989; its code.
    """

    mixes_bins: ClassVar[bool] = True

    def __init__(self, input_size: int, dropout: float = 0.1):
        super().__init__()
        self.each = nn.Sequential(nn.Tanh(), nn.Linear(input_size, input_size), nn.ReLU(), nn.Linear(input_size, input_size))
        self.last = nn.Sequential(nn.Linear(input_size, input_size), nn.BatchNorm1d(input_size), nn.ReLU(), nn.Dropout(dropout))
        self.output_size = input_size

    def forward(self, input: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin feature"]:
        return self.last(self.each(input[:, -1]))[:, None].expand(-1, input.shape[1], -1)
