import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.attention import add_positions
from neuralsde.nn.dropout import Dropout
from neuralsde.nn.encoders.gru import averaged
from neuralsde.nn.recurrence import GRU


class TwoScaleGRUEncoder(nn.Module):
    r"""A gated recurrence over steps of several bins for what is slow, beside one over single bins for what is not.

    $e_t = W y_t + p_t$, a learned vector in place of $W y_t$ in forward bins. Both recurrences run both ways in time. The slow
    one reads the means of $e$ over `stride` bins each, and its states, which belong to the middles of the steps, are
    interpolated linearly at the bins; the other reads $e$ itself. The context is both. What lasts has as many times fewer steps
    to be carried through, which is what a forecast needs, and costs as many times less.

    Args:
        input_size: observed channels.
        hidden_size: units of the slow recurrence per direction.
        embedding_size: width of the linear layer in front of both.
        detail_size: units of the recurrence over single bins per direction.
        stride: bins per step of the slow one.
        dropout: probability of dropping an entry of the context.
        input_dropout: probability of dropping an entry of the embedding.
        n_bins: bins per trial, observed and forward, for a learned vector per bin; None for data without a common origin.

    Raises:
        ConfigError: the stride is no such number; or, on encoding, the trial has not `n_bins` bins.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        embedding_size: int,
        detail_size: int = 48,
        stride: int = 4,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        n_bins: int | None = None,
    ):
        super().__init__()
        if type(stride) is not int or stride < 1:
            raise ConfigError(f"model.encoder.stride is {stride}; give a whole number of at least 1.")
        self.embed = nn.Linear(input_size, embedding_size)
        self.unobserved = nn.Parameter(torch.zeros(embedding_size))
        self.positions = nn.Parameter(torch.zeros(n_bins, embedding_size)) if n_bins else None
        self.slow = GRU(embedding_size, hidden_size, batch_first=True, bidirectional=True)
        self.detail = GRU(embedding_size, detail_size, batch_first=True, bidirectional=True)
        self.stride = stride
        self.input_dropout, self.dropout = Dropout(input_dropout), Dropout(dropout)
        self.output_size = 2 * (hidden_size + detail_size)

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        ahead = self.unobserved.expand(len(values), times.shape[1] - values.shape[1], -1)
        embedded = add_positions(torch.cat([self.embed(values), ahead], dim=1), self.positions, "model.encoder")
        embedded = self.input_dropout(embedded)
        slow = interpolated(self.slow(averaged(embedded, self.stride))[0], self.stride, times.shape[1])
        return self.dropout(torch.cat([slow, self.detail(embedded)[0]], dim=2))


def interpolated(x: Float[Tensor, "batch step channel"], stride: int, bins: int) -> Float[Tensor, "batch {bins} channel"]:
    """What holds in the middles of steps of so many bins, linearly between them, and unchanged before the first and after the
    last."""
    at = ((torch.arange(bins, device=x.device) + 0.5) / stride - 0.5).clamp(0, x.shape[1] - 1)
    before = at.long().clamp(max=max(x.shape[1] - 2, 0))
    after = (before + 1).clamp(max=x.shape[1] - 1)
    return torch.lerp(x[:, before], x[:, after], (at - before).to(x.dtype)[:, None])
