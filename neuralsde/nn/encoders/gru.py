import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.attention import add_positions
from neuralsde.nn.dropout import Dropout
from neuralsde.nn.recurrence import GRU


class GRUEncoder(nn.Module):
    r"""Gated recurrent encoder that sees each bin's counts in that bin: $h_t = \mathrm{GRU}(W y_t, h_{t-1})$, both ways.

    Forward bins hold no observation: their input is a learned vector, so that "no spikes" and "not observed" differ.
    Nothing after the input layer depends on the latent path, so the recurrence runs fused over all bins at once.

    Args:
        input_size: observed channels.
        hidden_size: units per direction.
        embedding_size: width of the linear layer in front of the recurrence.
        layers: stacked recurrent layers.
        direction: `both` ways in time (smoothing); `forward`, a causal encoder (filtering); or `backward`, which tells the
            state of a bin what is still to come: all that the control of a latent SDE needs, since its state knows the rest.
        dropout: probability of dropping an entry of the context.
        input_dropout: probability of dropping an entry of the embedding.
        n_bins: bins per trial, observed and forward; a learned vector per bin then tells the recurrence where in the trial
            it is, which helps where trials are aligned to an event. None for data without such an origin.
        stride: bins that the recurrence takes in one step, whose inputs are averaged and whose contexts are equal; the
            recurrence is as many times shorter. For bins that are fine beside what the activity changes in. The context of a
            bin sees its whole step, so that no other direction than `both` has one.
        read_gaps: also read which entries were seen and the time since the bin before, in units of the trial's mean step (0
            at the first bin): a value that was not seen then differs from 0, and irregular times count.

    Raises:
        ConfigError: on encoding, the trial has not `n_bins` bins.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        embedding_size: int,
        layers: int = 1,
        direction: str = "both",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        n_bins: int | None = None,
        read_gaps: bool = False,
        stride: int = 1,
    ):
        super().__init__()
        if direction not in ("both", "forward", "backward"):
            raise ConfigError(f"model.encoder.direction is {direction!r}; choose both, forward or backward.")
        if type(stride) is not int or stride < 1 or (stride > 1 and direction != "both"):
            raise ConfigError(
                f"model.encoder.stride is {stride} with direction={direction}; give a whole number of at least 1, and 1 where "
                "direction is not both: a step of several bins sees all of them."
            )
        self.is_reversed = direction == "backward"
        self.embed = nn.Linear(input_size, embedding_size)
        self.unobserved = nn.Parameter(torch.zeros(embedding_size))
        self.positions = nn.Parameter(torch.zeros(n_bins, embedding_size)) if n_bins else None
        self.gru = GRU(embedding_size, hidden_size, layers, batch_first=True, bidirectional=direction == "both")
        self.input_dropout = Dropout(input_dropout)
        self.dropout = Dropout(dropout)
        self.reads_mask, self.stride = read_gaps, stride
        self.embed_seen = nn.Linear(input_size, embedding_size, bias=False) if read_gaps else None
        self.embed_step = nn.Linear(1, embedding_size, bias=False) if read_gaps else None
        self.output_size = hidden_size * (1 + (direction == "both"))

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        embedded = self.embed(values)
        if self.embed_seen is not None:
            embedded = embedded + self.embed_seen(seen.to(embedded.dtype))
        ahead = self.unobserved.expand(len(values), times.shape[1] - values.shape[1], -1)
        embedded = torch.cat([embedded, ahead], dim=1)
        if self.embed_step is not None:
            embedded = embedded + self.embed_step(relative_steps(times).to(embedded.dtype)[..., None])
        embedded = add_positions(embedded, self.positions, "model.encoder")
        embedded = self.input_dropout(averaged(embedded, self.stride))
        context = self.gru(embedded.flip(1))[0].flip(1) if self.is_reversed else self.gru(embedded)[0]
        return self.dropout(context.repeat_interleave(self.stride, 1)[:, : times.shape[1]])


def averaged(x: Float[Tensor, "batch bin channel"], stride: int) -> Float[Tensor, "batch step channel"]:
    """Means over so many bins each; the last over those that are left."""
    return x if stride == 1 else nn.functional.avg_pool1d(x.transpose(1, 2), stride, ceil_mode=True).transpose(1, 2)


def relative_steps(times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "#batch bin"]:
    """Time since the bin before, divided by the trial's mean step; 0 at the first bin."""
    steps = times.diff(dim=1, prepend=times[:, :1])
    return steps * (times.shape[1] - 1) / steps.sum(1, keepdim=True).clamp(min=torch.finfo(times.dtype).tiny)
