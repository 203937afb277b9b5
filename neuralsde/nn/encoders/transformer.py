import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.attention import SelfAttentionLayer, add_positions, time_code
from neuralsde.nn.dropout import Dropout


class TransformerEncoder(nn.Module):
    r"""Self-attention over the bins of a trial: $c = \mathrm{Attention}(W y_t + p(t))$, each bin seeing all others.

    A forward bin, and an observed one in which nothing was seen, carries a learned vector in place of $W y_t$. The position
    code $p$ reads the bins' real times, so that irregular times count and any number of bins will do.

    Args:
        input_size: observed channels.
        hidden_size: width of the attention layers and of the context.
        duration_s: time from the first to the last bin, in seconds, the unit of the position code.
        heads: attention heads.
        feedforward_size: width of the layers' feed-forward part.
        layers: number of layers.
        dropout: dropout probability in the layers (attention weights, feed-forward, residual branches).
        input_dropout: probability of dropping an entry of the embedding.
        time_code: add sines and cosines of the time, from half a cycle to 50 cycles per trial.
        n_bins: bins per trial, observed and forward; a learned vector per bin is then added, which helps where trials are
            aligned to an event. None for data without such an origin, and for any number of bins.
        norm_first: normalise before each branch, and once at the end, rather than after each branch.
        causal: a bin sees itself and the bins before it (filtering); False lets it see all others (smoothing).
        read_gaps: also read which entries were seen, so that a value that was not seen differs from 0.

    Raises:
        ConfigError: the width does not split into the heads; or, on encoding, the trial has not `n_bins` bins.

    Reference: Vaswani et al., 2017, arXiv:1706.03762.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        duration_s: float,
        heads: int = 2,
        feedforward_size: int = 128,
        layers: int = 2,
        dropout: float = 0.1,
        input_dropout: float = 0.0,
        time_code: bool = True,
        n_bins: int | None = None,
        norm_first: bool = True,
        causal: bool = False,
        read_gaps: bool = False,
    ):
        super().__init__()
        if hidden_size % heads:
            raise ConfigError(
                f"model.encoder.hidden_size={hidden_size} does not split into model.encoder.heads={heads} attention heads; "
                "choose a multiple."
            )
        self.embed = nn.Linear(input_size, hidden_size)
        self.reads_mask = read_gaps
        self.embed_seen = nn.Linear(input_size, hidden_size, bias=False) if read_gaps else None
        self.unobserved = nn.Parameter(torch.zeros(hidden_size))
        self.duration_s = duration_s if time_code else None
        self.positions = nn.Parameter(0.1 * torch.randn(n_bins, hidden_size)) if n_bins else None
        self.input_dropout = Dropout(input_dropout)
        stack = [SelfAttentionLayer(hidden_size, heads, feedforward_size, dropout, norm_first, causal) for _ in range(layers)]
        self.layers = nn.Sequential(*stack, nn.LayerNorm(hidden_size) if norm_first else nn.Identity())
        self.output_size = hidden_size

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        embedded = self.embed_bins(values, seen, times.shape[1])
        if self.duration_s is not None:
            embedded = embedded + time_code(times, self.duration_s, self.output_size).to(embedded.dtype)
        embedded = add_positions(embedded, self.positions, "model.encoder")
        return self.layers(self.input_dropout(embedded))

    def embed_bins(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        bins: int,
    ) -> Float[Tensor, "batch {bins} context"]:
        """What was seen in each of `bins` bins, or the vector that says that nothing was."""
        embedded = self.embed(values)
        if self.embed_seen is not None:
            embedded = embedded + self.embed_seen(seen.to(embedded.dtype))
        unobserved = self.unobserved.to(embedded.dtype)
        embedded = torch.where(seen.any(2, keepdim=True), embedded, unobserved)
        return torch.cat([embedded, unobserved.expand(len(values), bins - values.shape[1], -1)], dim=1)
