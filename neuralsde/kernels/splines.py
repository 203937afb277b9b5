"""Unknown values of irregular series filled in by the compiled loop of `splines.c`."""

import ctypes
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.kernels.build import library, runs_plainly

SOURCE = Path(__file__).with_name("splines.c")


def compiled_fill(
    times: Float[Tensor, "batch row"], values: Float[Tensor, "batch row channel"], natural: bool
) -> Float[Tensor, "batch row channel"] | None:
    """What is not a number replaced by straight lines or natural cubic splines along the rows.

    None where the loop does not fit: it is in single precision, on CPUs, and no gradient flows through it.
    """
    learning = torch.is_grad_enabled() and (values.requires_grad or times.requires_grad)
    if learning or not values.numel() or not runs_plainly(values) or (kernel := library(SOURCE)) is None:
        return None
    t, x = times.double().expand(values.shape[:2]).contiguous(), values.contiguous()
    filled = torch.empty_like(x)
    counts = (ctypes.c_int64(n) for n in (*x.shape, natural, torch.get_num_threads()))
    if kernel.fill(*(ctypes.c_void_p(y.data_ptr()) for y in (t, x, filled)), *counts):
        raise MemoryError("There is no memory for the knots of a compiled loop.")
    return filled
