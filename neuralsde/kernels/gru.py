"""A gated recurrence by the compiled loop of `gru.c`."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

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
        ctx.save_for_backward(states, kept, driven, weight, bias)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        states, kept, driven, weight, bias = ctx.saved_tensors
        if torch.is_grad_enabled() or not runs_plainly(gradient):
            return _differentiable(gradient, (driven, weight, bias), ctx.needs_input_grad)
        gradient = gradient.contiguous()
        of_driven = gradient.new_empty(*gradient.shape[:3], 3 * weight.shape[2])
        of_said, scratch = torch.empty_like(of_driven), torch.empty_like(gradient[0])
        _call("backward", gradient.shape, weight.contiguous(), states, kept, gradient, of_driven, of_said, scratch)
        by_way = of_said.transpose(0, 1).flatten(1, 2)  # (way, step * batch, gates)
        return of_driven, by_way.mT @ states[:-1].transpose(0, 1).flatten(1, 2), by_way.sum(1)


def _differentiable(gradient: Tensor, inputs: Sequence[Tensor], needed: Sequence[bool]) -> tuple[Tensor | None, ...]:
    """Gradients of the inputs in torch's operations: to differentiate again, or of many gradients at once."""
    with torch.enable_grad():
        wanted = [x for x, need in zip(inputs, needed, strict=True) if need]
        found = iter(torch.autograd.grad(plain_states(*inputs), wanted, gradient, create_graph=True))
    return tuple(next(found) if need else None for need in needed)


def plain_states(driven: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`compiled_states` in torch's operations."""
    h, states = driven.new_zeros(*driven.shape[1:3], weight.shape[2]), []
    for x in driven:
        (x_r, x_z, x_n), (s_r, s_z, s_n) = (part.chunk(3, 2) for part in (x, torch.baddbmm(bias[:, None], h, weight.mT)))
        n = torch.tanh(x_n + torch.sigmoid(x_r + s_r) * s_n)
        h = n + torch.sigmoid(x_z + s_z) * (h - n)
        states.append(h)
    return torch.stack(states)


def _call(name: str, sizes: Sequence[int], *tensors: Tensor) -> None:
    """Each way in as many runs of its trials as give torch's threads something to do; a trial's numbers are the same in all."""
    kernel = library(SOURCE)
    assert kernel is not None
    threads = torch.get_num_threads()
    runs = min(max(threads // sizes[1], 1), -(-sizes[2] // ROWS))
    getattr(kernel, name)(*map(ctypes.c_int64, (*sizes, runs, threads)), *(ctypes.c_void_p(x.data_ptr()) for x in tensors))
