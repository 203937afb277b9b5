"""GRU-D against its equations, written out for one series and row at a time."""

import numpy as np
import torch

from neuralsde.nn.encoders import GRUDecay

DURATION = 5.0


def by_hand(encoder, values, seen, times):
    """Section 3.3 of Che et al., row by row, with torch's own cell."""
    state, out = torch.zeros(1, encoder.output_size, dtype=values.dtype), []
    last, when = torch.zeros(values.shape[1], dtype=values.dtype), times[0].expand(values.shape[1]).clone()
    for row, now in enumerate(times):
        m = seen[row].to(values.dtype) if row < len(values) else torch.zeros_like(last)
        delta = (now - when) / DURATION
        kept = torch.exp(-torch.clamp(encoder.input_rate * delta + encoder.input_offset, min=0))
        x = values[row] if row < len(values) else torch.zeros_like(last)
        filled = m * x + (1 - m) * kept * last
        fade = torch.exp(-torch.clamp(encoder.state_rate.weight @ delta + encoder.state_rate.bias, min=0))
        state = encoder.cell(torch.cat([filled, m])[None], fade * state)
        out.append(state[0])
        last, when = torch.where(m > 0, x, last), torch.where(m > 0, now, when)
    return torch.stack(out)


def test_states_are_those_of_the_equations():
    torch.manual_seed(0)
    encoder = GRUDecay(3, DURATION, 6).double()
    torch.nn.init.normal_(encoder.input_offset)
    rng = np.random.default_rng(0)
    seen = torch.tensor(rng.random((4, 7, 3)) < 0.5)
    values = torch.tensor(rng.normal(size=(4, 7, 3))) * seen
    times = torch.tensor(rng.uniform(0.1, 1.0, (4, 9)).cumsum(1))  # two rows ahead
    found = encoder(values, seen, times)
    expected = torch.stack([by_hand(encoder, *series) for series in zip(values, seen, times, strict=True)])
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, encoder(values, torch.ones_like(seen), times))  # the control: what was seen matters
