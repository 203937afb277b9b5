import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.dropout import Dropout

FARTHEST = 60.0  # scores this far below the best one of a query all weigh the same; e^-60 is still a single-precision number


class TimeAttentionEncoder(nn.Module):
    r"""Interpolates each channel by attention over time, for series seen at irregular times with values missing.

    With a learned embedding $\phi$ of time, head $h$ gives channel $d$ at time $t$ the mean of its seen values

    $$x_{hd}(t) = \frac{\sum_{i : d \text{ seen at } t_i} \kappa_h(t, t_i)\, y_{id}}{\sum_{i : d \text{ seen at } t_i}
      \kappa_h(t, t_i)}, \qquad \kappa_h(t, t') = \exp \frac{\phi(t) W_h V_h^\top \phi(t')^\top}{\sqrt k},$$

    and 0 where nothing of the channel was seen, which a further input tells from a mean of 0. A linear layer over heads and
    channels and, where asked for, a recurrence over the bins follow. The value of an entry that was not seen is never read.

    Args:
        input_size: observed channels.
        hidden_size: width of the linear layer, and recurrent units per direction.
        duration_s: time from the first to the last bin, in seconds, the unit of the embedding.
        time_size: channels of $\phi$, $k$ = time_size / heads of them per head.
        heads: attention heads.
        recurrent: run a gated recurrent layer over the bins; False gives each bin from the attention alone.
        bidirectional: let the recurrence run both ways. The attention looks both ways in any case.
        dropout: probability of dropping an entry of the context.
        input_dropout: probability of dropping an entry of the linear layer's output.

    Raises:
        ConfigError: the embedding does not split into the heads.

    Reference: Shukla & Marlin, *Multi-time attention networks for irregularly sampled time series*, 2021, arXiv:2101.10318.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        duration_s: float,
        time_size: int = 32,
        heads: int = 2,
        recurrent: bool = True,
        bidirectional: bool = True,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
    ):
        super().__init__()
        if time_size % heads:
            raise ConfigError(
                f"model.encoder.time_size={time_size} does not split into model.encoder.heads={heads} attention heads; choose "
                "a multiple."
            )
        self.heads, self.reads_mask = heads, True
        self.embed_time = TimeEmbedding(time_size, duration_s)
        self.query, self.key = nn.Linear(time_size, time_size), nn.Linear(time_size, time_size)
        self.mix = nn.Linear((heads + 1) * input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True, bidirectional=bidirectional) if recurrent else None
        self.input_dropout = Dropout(input_dropout)
        self.dropout = Dropout(dropout)
        self.output_size = hidden_size * (2 if recurrent and bidirectional else 1)

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        interpolated = self.interpolate(values, seen, times)
        ever_seen = seen.any(1, keepdim=True).to(values.dtype).expand(-1, times.shape[1], -1)
        context = self.input_dropout(self.mix(torch.cat([interpolated, ever_seen], dim=2)))
        if self.gru is not None:
            context, _ = self.gru(context)
        return self.dropout(context)

    def interpolate(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin head_channel"]:
        """$x_{hd}$ at all times, the first head's channels first."""
        kernel = self.kernel(times, values.shape[1]).to(values.dtype)
        # The channels share the kernel and differ in what was seen: both sums are matrix products, with no axis of channels
        # in the kernel.
        weighed = torch.cat([values.masked_fill(~seen, 0.0), seen.to(values.dtype)], dim=2)
        total, weight = (kernel @ weighed[:, None]).chunk(2, dim=3)  # (batch, head, bin, channel)
        mean = total / weight.masked_fill(weight == 0, 1.0)
        return mean.transpose(1, 2).flatten(2)

    def kernel(self, times: Float[Tensor, "#batch bin"], observed_bins: int) -> Float[Tensor, "#batch head bin observed_bin"]:
        r"""$\kappa_h$ between all bins and the observed ones, up to a factor per query that the mean cancels."""
        embedded = self.embed_time(times)
        query, key = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query(embedded), self.key(embedded))
        )
        scores = (query * query.shape[-1] ** -0.5) @ key[:, :, :observed_bins].mT
        return (scores - scores.amax(-1, keepdim=True).detach()).clamp(min=-FARTHEST).exp()


class TimeEmbedding(nn.Module):
    r"""$\phi(t) = (\omega_0 \tau + \alpha_0,\ \sin(\omega_1 \tau + \alpha_1), \dots)$ with $\tau = t/T$, all learned.

    The sines start in pairs a quarter of a cycle apart, from half a cycle to 20 cycles per trial, so that the inner product
    of two embeddings starts as a function of their distance. A linear layer's own start is almost flat over a trial, and
    takes several times as many steps to learn the same interpolation.

    Args:
        size: channels.
        duration_s: $T$, time from the first to the last bin, in seconds.
        published_start: start as a linear layer does, all numbers uniform on $[-1, 1)$.
    """

    def __init__(self, size: int, duration_s: float, published_start: bool = False):
        super().__init__()
        self.duration_s = duration_s
        if published_start:
            self.frequency, self.phase = (nn.Parameter(torch.empty(size).uniform_(-1, 1)) for _ in range(2))
            return
        cycles = torch.logspace(math.log10(0.5), math.log10(20.0), size // 2).repeat_interleave(2)[: size - 1]
        self.frequency = nn.Parameter(torch.cat([torch.ones(1), 2 * math.pi * cycles]))
        self.phase = nn.Parameter(torch.cat([torch.zeros(1), math.pi / 2 * (torch.arange(size - 1) % 2)]))

    def forward(self, times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "#batch bin time_channel"]:
        # No linear layer: under autocast it would round the angles to 8 bits.
        angle = (times / self.duration_s)[..., None] * self.frequency + self.phase
        return torch.cat([angle[..., :1], angle[..., 1:].sin()], dim=-1)
