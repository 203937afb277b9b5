import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.nn.control_path import at_rows, carried_forward, last_known_row
from neuralsde.nn.dropout import Dropout


class GRUDecay(nn.Module):
    r"""GRU-D: a recurrence whose inputs decay to the mean, and whose state decays to 0, while nothing is observed.

    $$\gamma_t = e^{-\max(0,\, W \delta_t + b)},\quad
    \hat x_t = m_t x_t + (1 - m_t)\,\gamma^x_t x_{t'},\quad
    h_t = \mathrm{GRU}([\hat x_t, m_t],\, \gamma^h_t h_{t-1})$$

    with $m_t$ what is observed, $x_{t'}$ the value before, and $\delta_t$ the time since then, as a share of the trial. Values
    are standardised, so that their mean is 0. It looks back only.

    Args:
        input_size: observed channels.
        duration_s: how long a trial lasts, in the data's unit of time.
        hidden_size: units.
        dropout: probability of dropping an entry of the context.

    Reference: Che, Purushotham, Cho, Sontag, Liu, *Recurrent neural networks for multivariate time series with missing values*,
    2018, section 3.3. The reset gate acts after the recurrent weights, as in `torch.nn.GRUCell`.
    """

    reads_mask = True

    def __init__(self, input_size: int, duration_s: float, hidden_size: int = 64, dropout: float = 0.0):
        super().__init__()
        self.duration_s, self.output_size = duration_s, hidden_size
        self.input_rate, self.input_offset = nn.Parameter(torch.ones(input_size)), nn.Parameter(torch.zeros(input_size))
        self.state_rate = nn.Linear(input_size, hidden_size)
        self.cell = nn.GRUCell(2 * input_size, hidden_size)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        ahead = times.shape[1] - values.shape[1]
        values, seen = nn.functional.pad(values, (0, 0, 0, ahead)), nn.functional.pad(seen, (0, 0, 0, ahead))
        times, known = times.expand(len(values), -1), values.masked_fill(~seen, torch.nan)
        since = time_since_before(times, known) / self.duration_s
        kept = torch.exp(-torch.relu(self.input_rate * since + self.input_offset))
        filled = torch.where(seen, values, kept * carried_forward(times, known).value)
        inputs = torch.cat([filled, seen.to(values.dtype)], 2)
        fading = torch.exp(-torch.relu(self.state_rate(since)))
        state, states = values.new_zeros(len(values), self.output_size), []
        for x, fade in zip(inputs.unbind(1), fading.unbind(1), strict=True):
            state = self.cell(x, fade * state)
            states.append(state)
        return self.dropout(torch.stack(states, 1))


def time_since_before(
    times: Float[Tensor, "batch row"], known: Float[Tensor, "batch row channel"]
) -> Float[Tensor, "batch row channel"]:
    """Time since each channel was last known in an earlier row; since the first row where it was not."""
    before = nn.functional.pad(last_known_row(known)[:, :-1], (0, 0, 1, 0), value=-1)
    when = at_rows(times[..., None].expand_as(known), before)
    return times[..., None] - torch.where(before >= 0, when, times[:, :1, None])
