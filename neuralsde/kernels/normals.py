"""Standard normals, where they are many and single on a CPU by the compiled generator of `normals.c`."""

import ctypes
import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.kernels.build import library, runs_plainly

SOURCE = Path(__file__).with_name("normals.c")
FEWEST = 4096  # below, torch's generator is as fast


def draw_normals(
    shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None = None, std: Float[Tensor, " first"] | None = None
) -> Tensor:
    """Independent normals of mean 0 and standard deviation 1 or, along the first axis, `std`.

    The compiled generator takes its seed from `generator` and counts from there (Philox4x32-10): the same numbers for any
    number of threads, others than torch's, which draws one after the other.

    Args:
        shape: of the result.
        like: a tensor of its dtype, on its device.
        generator: torch's global one if None.
        std: no gradient flows to it.

    Raises:
        ValueError: there are not as many `std` as entries along the first axis.
    """
    if std is not None and len(std) != shape[0]:
        raise ValueError(f"There are {len(std)} standard deviations for {shape[0]} entries along the first axis.")
    count = math.prod(shape)
    if count >= FEWEST and runs_plainly(like) and (kernel := library(SOURCE)) is not None:
        x = torch.empty(shape, dtype=like.dtype, device=like.device)
        seed = int(torch.randint(2**63 - 1, (), generator=generator, device="cpu"))
        scale, every = (None, 1) if std is None else (std.detach().float().contiguous(), count // shape[0])
        at = (ctypes.c_void_p(None if y is None else y.data_ptr()) for y in (x, scale))
        kernel.normals(*at, *map(ctypes.c_int64, (every, count, seed, torch.get_num_threads())))
        return x
    x = torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
    return x if std is None else x.mul_(std.detach().view(-1, *[1] * (x.ndim - 1)))
