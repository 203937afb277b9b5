"""A gated recurrence by the compiled loop of `gru.c`."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from neuralsde.kernels.build import library, runs_plainly

SOURCE = Path(__file__).with_name("gru.c")
ROWS = 8  # trials of which a thread has some, at least
UNITS = 16  # whose multiple the number of units has to be


def fits(units: int, *tensors: Tensor) -> bool:
    """Whether the loop may be used: in single precision, on CPUs, for multiples of 16 units, and where there is a compiler."""
    return not units % UNITS and all(x.numel() for x in tensors) and runs_plainly(*tensors) and library(SOURCE) is not None


def compiled_states(
    driven: Float[Tensor, "step way batch gates"], weight: Float[Tensor, "way gates unit"], bias: Float[Tensor, "way gates"]
) -> Float[Tensor, "step way batch unit"]:
    """States after each step from what the input says of the gates (reset, update, new), which begin with 0, through
    recurrent weights and biases as `torch.nn.GRU` has them; ways (directions) know nothing of each other. Only where it `fits`.
    """
    states: Tensor = _Recurrence.apply(driven, weight, bias)  # pyright: ignore[reportAssignmentType]
    return states


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, driven: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        units, driven = weight.shape[2], driven.contiguous()
        states = driven.new_zeros(len(driven) + 1, *driven.shape[1:3], units)
        kept = driven.new_empty(*driven.shape[:3], 4 * units)
        scratch = driven.new_empty(driven.shape[1:])
        given = driven, weight.mT.contiguous(), bias.contiguous()
        _call("forward", (*driven.shape[:3], units), *given, states, kept, scratch)
        ctx.save_for_backward(states, kept, weight)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        states, kept, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_driven = gradient.new_empty(*gradient.shape[:3], 3 * weight.shape[2])
        of_said, scratch = torch.empty_like(of_driven), torch.empty_like(gradient[0])
        _call("backward", gradient.shape, weight.contiguous(), states, kept, gradient, of_driven, of_said, scratch)
        by_way = of_said.transpose(0, 1).flatten(1, 2)  # (way, step * batch, gates)
        return of_driven, by_way.mT @ states[:-1].transpose(0, 1).flatten(1, 2), by_way.sum(1)


def _call(name: str, sizes: Sequence[int], *tensors: Tensor) -> None:
    """Each way in as many runs of its trials as give torch's threads something to do; a trial's numbers are the same in all."""
    kernel = library(SOURCE)
    assert kernel is not None
    threads = torch.get_num_threads()
    runs = min(max(threads // sizes[1], 1), -(-sizes[2] // ROWS))
    getattr(kernel, name)(*map(ctypes.c_int64, (*sizes, runs, threads)), *(ctypes.c_void_p(x.data_ptr()) for x in tensors))
