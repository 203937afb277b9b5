"""Euler–Maruyama steps along a net by the compiled loop of `euler.c`, with its gradients."""

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from neuralsde.kernels.build import library, runs_plainly
from neuralsde.kernels.first_order import first_order

SOURCE = Path(__file__).with_name("euler.c")
MOST_LAYERS, LANES, ROWS, TILE = 16, 16, 8, 32  # the first two as in euler.c; rows of a tile are multiples
ACTIVATIONS = "relu", "tanh", "lip_swish"
DRIFTS = "free", "bounded", "tanh", "one_minus_sigmoid"
NOISES = "additive", "linear", "bounded_linear"


class Step(NamedTuple):
    """The forms of a step, from `ACTIVATIONS`, `DRIFTS` and `NOISES`; see `euler.c`."""

    activation: str
    drift: str
    noise: str


class Net(NamedTuple):
    """The drift's net: what multiplies the state and the control path, what is added to that, and the layers behind the
    first activation as pairs of weight and bias."""

    entry: Float[Tensor, "hidden state"]
    control_entry: Float[Tensor, "hidden control"] | None
    offset: Float[Tensor, "steps #rows hidden"]
    layers: Sequence[tuple[Tensor, Tensor]]


def kernel_for(layers: int, *tensors: Tensor) -> ctypes.CDLL | None:
    """The compiled loop, where it is to be used and fits: single precision on the CPU, not too many layers."""
    if (
        layers > MOST_LAYERS
        or torch.is_autocast_enabled("cpu")
        or not all(x.numel() for x in tensors)
        or not runs_plainly(*tensors)
    ):
        return None
    return library(SOURCE)


def kernel_euler(
    kernel: ctypes.CDLL,
    step: Step,
    every: int,
    z0: Float[Tensor, "rows state"],
    dt: Float[Tensor, " steps"],
    w: Float[Tensor, "steps rows state"],
    strength: Float[Tensor, "steps state"],
    control: Float[Tensor, "steps rows control"] | None,
    net: Net,
) -> Float[Tensor, "times rows state"]:
    """The solution at the start and after each `every` steps."""
    first = _whole(net.entry, 2)
    if net.control_entry is not None:
        first = torch.cat([first, _whole(net.control_entry, 2)], 1)
    rows = {z0.shape[0], w.shape[1], net.offset.shape[1]} | ({control.shape[1]} if control is not None else set())
    if rows - {1} - {z0.shape[0]} or w.shape[1] != z0.shape[0]:
        raise ValueError(f"The compiled loop got arrays of {sorted(rows)} samples.")
    samples = [_whole(x, 1) for x in (z0, w, strength, net.offset, w[..., :0] if control is None else control)]
    layers = [_whole(x, x.ndim) for layer in net.layers for x in layer]
    learning = torch.is_grad_enabled() and any(x.requires_grad for x in (*samples, first, *layers))
    z = _KernelEuler.apply(kernel, step, every, learning, dt.to(z0.dtype).contiguous(), *samples, first, *layers)
    return z if z.shape[-1] == z0.shape[-1] else z[..., : z0.shape[-1]]


def _whole(x: Tensor, axes: int) -> Tensor:
    """Contiguous, and with zeros behind the last `axes` axes up to whole vectors."""
    missing = [n for size in x.shape[: -axes - 1 : -1] for n in (0, -size % LANES)]
    return (pad(x, missing) if any(missing) else x).contiguous()


_Count, _Pointer = ctypes.c_int64, ctypes.c_void_p
_PerLayer = _Pointer * (MOST_LAYERS + 1)


class _Problem(ctypes.Structure):
    """`problem_t`."""

    _fields_ = [
        *((name, _Count) for name in ("rows", "tile", "steps", "state", "control", "depth")),
        *((name, _Count) for name in ("activation", "drift", "noise", "offset_by_row")),
        ("widths", _Count * MOST_LAYERS),
        *((name, _Pointer) for name in ("lengths", "z0", "w", "strength", "offset", "control_path")),
        *((name, _PerLayer) for name in ("matrices", "turned", "biases")),
        ("kept", ctypes.POINTER(_Pointer)),
        ("path", _Pointer),
    ]


class _Sums(ctypes.Structure):
    """`sums_t`."""

    _fields_ = [
        *((name, _Count) for name in ("every", "by_time", "by_row")),
        *((name, _Pointer) for name in ("by_path", "z0", "w", "control_path", "strength", "offset")),
        *((name, _PerLayer) for name in ("turned", "biases")),
    ]


def _problem(step: Step, tile: int, path: Tensor, kept: Sequence[Tensor], given: Sequence[Tensor]) -> _Problem:
    """The structure, which keeps the tensors alive that it points into."""
    _, z0, w, _, offset, control, first, *layers = given
    matrices, biases = [first, *layers[::2]], [offset, *layers[1::2]]
    turned = [x.t().contiguous() for x in matrices]
    forms = ACTIVATIONS.index(step.activation), DRIFTS.index(step.drift), NOISES.index(step.noise)
    widths = z0.shape[1], control.shape[2], len(matrices) - 1
    counts = w.shape[1], tile, w.shape[0], *widths, *forms, offset.shape[1] > 1
    per_layer = (_PerLayer(*map(Tensor.data_ptr, x)) for x in (matrices, turned, biases))
    problem = _Problem(*counts, (_Count * MOST_LAYERS)(*map(len, matrices[:-1])), *map(Tensor.data_ptr, given[:6]), *per_layer)
    if kept:
        problem.kept = (_Pointer * len(kept))(*map(Tensor.data_ptr, kept))
    problem.path = path.data_ptr()
    problem.alive = path, kept, given, turned
    return problem


class _KernelEuler(torch.autograd.Function):
    """The loop over widths that are whole vectors; `first` multiplies the state and the control path side by side.

    Threads share the tiles; what each has added up is added up in order, so that a result depends on their number alone.
    """

    @staticmethod
    def forward(
        ctx: Any,
        kernel: ctypes.CDLL,
        step: Step,
        every: int,
        learning: bool,
        dt: Float[Tensor, " steps"],
        z0: Float[Tensor, "rows state"],
        w: Float[Tensor, "steps rows state"],
        strength: Float[Tensor, "steps state"],
        offset: Float[Tensor, "steps #rows hidden"],
        control: Float[Tensor, "steps rows control"],
        first: Float[Tensor, "hidden reads"],
        *layers: Tensor,
    ) -> Float[Tensor, "times rows state"]:
        steps, rows, state = w.shape
        threads = torch.get_num_threads()
        tile = min(TILE, -(-rows // (threads * ROWS)) * ROWS)
        tiles = -(-rows // tile)
        parts = min(threads, tiles)
        slot = tile * (state * (step.drift != "free") + len(first) + sum(map(len, layers[:-2:2])))
        kept = [z0.new_empty(steps * slot) for _ in range(tiles)] if learning else []  # blocks that the allocator can keep
        path = z0.new_empty(steps + 1, rows, state)
        given = dt, z0, w, strength, offset, control, first, *layers
        problem = _problem(step, tile, path, kept, given)
        _check(kernel.euler_forward(ctypes.byref(problem), _Count(parts)))
        ctx.settings = kernel, step, every, tile, tiles, parts
        if learning:
            ctx.save_for_backward(*given, path, *kept)
        return path if every == 1 else path[::every].clone()

    @staticmethod
    @first_order
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        kernel, step, every, tile, tiles, parts = ctx.settings
        *given, path = ctx.saved_tensors[:-tiles]
        _, z0, w, strength, offset, control, first, *layers = given
        by_path, to_z0 = cotangents[0], torch.empty_like(z0)
        by_path = by_path if by_path.stride(-1) == 1 else by_path.contiguous()
        to_w, to_control = (torch.empty_like(x) if ctx.needs_input_grad[n] else None for n, x in ((6, w), (9, control)))
        to_offset = torch.empty_like(offset) if offset.shape[1] > 1 else None  # else the samples share it
        problem = _problem(step, tile, path, ctx.saved_tensors[-tiles:], given)
        shared = [first.t(), *(x.t() if x.ndim == 2 else x for x in layers), strength, *([offset] if to_offset is None else [])]
        by_part = [[x.new_zeros(x.shape) for x in shared] for _ in range(parts)]
        places = (_Sums * parts)()
        for n, sums in enumerate(by_part):
            to_first, *rest = sums
            to_layers, to_strength = rest[: len(layers)], rest[len(layers)]
            arrays = by_path, to_z0, to_w, to_control, to_strength, sums[-1] if to_offset is None else to_offset
            at = [None if x is None else x.data_ptr() for x in arrays]
            turned, biases = [to_first, *to_layers[::2]], to_layers[1::2]
            per_layer = _PerLayer(*map(Tensor.data_ptr, turned)), _PerLayer(None, *map(Tensor.data_ptr, biases))
            places[n] = _Sums(every, *by_path.stride()[:2], *at, *per_layer)
        _check(kernel.euler_backward(ctypes.byref(problem), places, _Count(parts)))
        to_first, *rest = (functools.reduce(Tensor.add_, x) for x in zip(*by_part, strict=True))
        to_layers = (x.t() if x.ndim == 2 else x for x in rest[: len(layers)])
        to_strength, to_offset = rest[len(layers)], rest[-1] if to_offset is None else to_offset
        return (*[None] * 5, to_z0, to_w, to_strength, to_offset, to_control, to_first.t(), *to_layers)


def _check(failed: int) -> None:
    if failed:
        raise MemoryError("There is no memory for the tiles of a compiled loop.")
