import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.dropout import Dropout


class ReleasedGRUEncoder(nn.Module):
    r"""The one-directional GRU of the LangevinFlow release, with its differences from the paper as switches.

    The release computes $h_0 = D(\mathrm{GRU}(y_0, 0))$ and $h_t = D(\mathrm{GRU}(u_t, h_{t-1}))$, with dropout $D$ on the
    state that is fed back, and $u_t = y_{t-1}$: the encoder lags one bin behind, $y_0$ is consumed twice, and the last
    observed bin is repeated through the forward bins.

    Args:
        input_size: observed channels.
        hidden_size: recurrent units.
        dropout: dropout probability.
        encoder_input: `lagged` as released, or `current` ($u_t = y_t$), as the paper's Algorithm 1 has it.
        recurrent_dropout: `fed_back` as released; `output_only` drops entries of the context alone, so that the
            recurrence runs fused; `off`.

    Reference: Song et al., *Langevin Flows for Modeling Neural Latent Dynamics*, 2025, arXiv:2507.11531, and its release.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        dropout: float = 0.05,
        encoder_input: str = "lagged",
        recurrent_dropout: str = "fed_back",
    ):
        super().__init__()
        if encoder_input not in ("lagged", "current"):
            raise ConfigError(f"model.encoder.encoder_input is {encoder_input!r}; choose lagged or current.")
        if recurrent_dropout not in ("fed_back", "output_only", "off"):
            raise ConfigError(f"model.encoder.recurrent_dropout is {recurrent_dropout!r}; choose fed_back, output_only or off.")
        self.gru = nn.GRU(input_size, hidden_size, batch_first=True)
        self.dropout = Dropout(dropout if recurrent_dropout != "off" else 0.0)
        self.lag = 1 if encoder_input == "lagged" else 0
        self.feeds_dropout_back = recurrent_dropout == "fed_back" and dropout > 0
        self.output_size = hidden_size

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        read = (torch.arange(times.shape[1], device=values.device) - self.lag).clamp(0, values.shape[1] - 1)
        inputs = values[:, read]
        if self.training and self.feeds_dropout_back:
            return self._step_by_step(inputs)
        return self.dropout(self.gru(inputs)[0])

    def _step_by_step(self, inputs: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin context"]:
        weight_in, weight_h, bias_in, bias_h = self.gru.all_weights[0]
        # The input's share of the gates needs no state: one product for all bins instead of one a step.
        gates_in = nn.functional.linear(inputs, weight_in, bias_in).unbind(1)
        h = inputs.new_zeros(len(inputs), self.output_size)
        keep = self.dropout(torch.ones(inputs.shape[1], *h.shape, dtype=h.dtype, device=h.device), trials=1)
        states = []
        for gate_in, kept in zip(gates_in, keep, strict=True):
            h = gru_cell(gate_in, nn.functional.linear(h, weight_h, bias_h), h) * kept
            states.append(h)
        return torch.stack(states, dim=1)


def gru_cell(gates_in: Tensor, gates_h: Tensor, h: Tensor) -> Tensor:
    """`torch.nn.GRUCell` with the shares of the gates (reset, update, new) from the input and from the state given."""
    reset_in, update_in, new_in = gates_in.chunk(3, dim=-1)
    reset_h, update_h, new_h = gates_h.chunk(3, dim=-1)
    reset, update = torch.sigmoid(reset_in + reset_h), torch.sigmoid(update_in + update_h)
    return torch.lerp(torch.tanh(new_in + reset * new_h), h, update)
