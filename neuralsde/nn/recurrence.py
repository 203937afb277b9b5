from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from neuralsde.kernels.gru import compiled_states, fits


class GRU(nn.GRU):
    """`torch.nn.GRU` with its parameters, and its results up to rounding, by a compiled loop where that fits: one layer, batch
    first, without projection, of a multiple of 16 units, in single precision on CPUs."""

    def forward(self, input: Tensor | PackedSequence, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        if isinstance(input, PackedSequence) or input.ndim != 3 or input.shape[2] != self.input_size or hx is not None:
            return super().forward(input, hx)
        plain = self.num_layers == 1 and self.batch_first and self.bias and not torch.is_autocast_enabled("cpu")
        if not plain or not fits(self.hidden_size, input, *self.all_weights[0]):
            return super().forward(input, hx)
        names = ["l0", "l0_reverse"][: 1 + self.bidirectional]
        weight, bias = (torch.stack([getattr(self, f"{part}_hh_{name}") for name in names]) for part in ("weight", "bias"))
        by_step = input.transpose(0, 1)
        gates = [
            nn.functional.linear(by_step, getattr(self, f"weight_ih_{name}"), getattr(self, f"bias_ih_{name}"))
            for name in names
        ]
        states = compiled_states(torch.stack([gates[0], *(gate.flip(0) for gate in gates[1:])], 1), weight, bias)
        both = [states[:, 0], *(states[:, way].flip(0) for way in range(1, len(names)))]
        return torch.cat(both, 2).transpose(0, 1), states[-1]
