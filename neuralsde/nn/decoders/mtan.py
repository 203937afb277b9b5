import math
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.decoders.mlp import MLPDecoder
from neuralsde.nn.encoders.time_attention import TimeEmbedding


class MTANDecoder(nn.Module):
    r"""Each bin from states at other times, by attention over time: the decoder of multi-time attention networks.

    A recurrence $r$ over the states at times $\tau_k$, then for a bin at time $t$, with a learned embedding $\phi$ of time,

    $$h(t) = \mathrm{MLP}\Bigl(\bigoplus_h \sum_k \alpha_{hk}(t)\, V_h r_k\Bigr), \qquad
      \alpha_{hk}(t) = \mathrm{softmax}_k\, \frac{\phi(t) Q_h K_h^\top \phi(\tau_k)^\top}{\sqrt{d}},$$

    with $d$ channels per head. The states' times are those of the context: an encoder's own (`model/encoder=path_grid`), else
    those of the bins.

    Args:
        input_size: channels per state.
        duration_s: how long a trial lasts, in the data's unit of time: the unit of $\phi$.
        recurrent_size: units of the recurrence per direction; 0 for none.
        time_size: channels of $\phi$.
        heads: attention heads.
        hidden_size: see `MLPDecoder`, as `layers`, `dropout` and `activation`.
        causal: a bin attends to the states at its time and before alone (to the first one before that), and the recurrence
            runs forward alone. A trial is then decoded as it would be without the rows that pad it.
        published_start: let $\phi$ start as a linear layer does; see `TimeEmbedding`.

    Raises:
        ConfigError: the embedding does not split into the heads, or a size is impossible.

    Reference: Shukla & Marlin, *Multi-time attention networks for irregularly sampled time series*, 2021, arXiv:2101.10318
    (`dec_rnn3` of its code: one head, 64 units, 128 channels of $\phi$, one layer of 50 units with ReLU).
    """

    mixes_bins: ClassVar[bool] = True
    reads_times: ClassVar[bool] = True

    def __init__(
        self,
        input_size: int,
        duration_s: float,
        recurrent_size: int = 64,
        time_size: int = 32,
        heads: int = 2,
        hidden_size: int = 64,
        layers: int = 1,
        dropout: float = 0.0,
        activation: str = "gelu",
        causal: bool = False,
        published_start: bool = False,
    ):
        super().__init__()
        if type(recurrent_size) is not int or recurrent_size < 0:
            raise ConfigError(f"model.decoder.recurrent_size is {recurrent_size}; give a whole number, 0 for no recurrence.")
        if type(duration_s) not in (int, float) or not 0 < duration_s < math.inf:
            raise ConfigError(f"model.decoder.duration_s is {duration_s}; give a positive number.")
        if type(time_size) is not int or time_size < 2:
            raise ConfigError(f"model.decoder.time_size is {time_size}; give a whole number of at least 2.")
        if type(heads) is not int or heads < 1 or time_size % heads:
            raise ConfigError(
                f"model.decoder.time_size={time_size} does not split into model.decoder.heads={heads} attention heads; choose "
                "a multiple."
            )
        for name, value in (("causal", causal), ("published_start", published_start)):
            if type(value) is not bool:
                raise ConfigError(f"model.decoder.{name} is {value}; give true or false.")
        self.heads, self.causal = heads, causal
        width = recurrent_size * (1 if causal else 2) or input_size
        self.gru = nn.GRU(input_size, recurrent_size, batch_first=True, bidirectional=not causal) if recurrent_size else None
        self.embed_time = TimeEmbedding(time_size, duration_s, published_start)
        self.query, self.key = nn.Linear(time_size, time_size), nn.Linear(time_size, time_size)
        self.value = nn.Linear(width, width * heads)
        self.head = MLPDecoder(width * heads, hidden_size, layers, dropout, activation=activation)
        self.output_size = self.head.output_size

    def forward(
        self,
        input: Float[Tensor, "sample_batch point channel"],
        points: Float[Tensor, "#batch point"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "sample_batch bin feature"]:
        """Features of each bin.

        Args:
            input: states, of all trials under the first sample, then the second, …
            points: their times, of each trial once.
            times: of the bins, of each trial once.
        """
        states = input if self.gru is None else self.gru(input)[0]
        weights = self.weights(points, times).to(states.dtype)
        values = self.value(states).unflatten(2, (self.heads, -1)).transpose(1, 2)
        # The samples of a trial share its weights.
        mixed = weights @ values.unflatten(0, (-1, len(weights)))
        return self.head(mixed.flatten(0, 1).transpose(1, 2).flatten(2))

    def weights(
        self, points: Float[Tensor, "#batch point"], times: Float[Tensor, "#batch bin"]
    ) -> Float[Tensor, "#batch head bin point"]:
        r"""$\alpha$."""
        query, key = (
            layer(self.embed_time(t)).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, t in ((self.query, times), (self.key, points))
        )
        scores = (query * query.shape[-1] ** -0.5) @ key.mT
        if self.causal:
            ahead = points[:, None] > times[..., None]
            ahead[..., 0] = False
            scores = scores.masked_fill(ahead[:, None], -math.inf)
        return scores.softmax(-1)
