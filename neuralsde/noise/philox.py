"""Counter-based random numbers: a number is a function of (seed, counter) and of nothing else.

Philox4x32-10 in 64-bit integer tensor operations, hence the same bits on every device and in any order of asking.

Reference: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
MASK = 0xFFFFFFFF


def philox(
    counter: tuple[Int[Tensor, "*#shape"], Int[Tensor, "*#shape"], Int[Tensor, "*#shape"], Int[Tensor, "*#shape"]],
    seed: int,
    rounds: int = 10,
) -> tuple[Int[Tensor, "*shape"], Int[Tensor, "*shape"], Int[Tensor, "*shape"], Int[Tensor, "*shape"]]:
    """Four 32-bit words, held in int64, per counter of four 32-bit words."""
    c0, c1, c2, c3 = torch.broadcast_tensors(*counter)
    k0, k1 = seed & MASK, (seed >> 32) & MASK
    for _ in range(rounds):
        # The products wrap around 2^64; the arithmetic shift's sign bits are masked off.
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = ((p1 >> 32) & MASK) ^ c1 ^ k0, p1 & MASK, ((p0 >> 32) & MASK) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1, c2, c3


def counter_normals(
    element: Int[Tensor, "*#shape"], node: Int[Tensor, "*#shape"], level: Int[Tensor, "*#shape"], seed: int
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"], Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Four independent standard normals (float64) for every (element, node, level) of the broadcast shape."""
    words = philox((element, node & MASK, node >> 32, level), seed)
    # Midpoints of 2^32 equal cells: never 0 or 1, so the logarithm is finite.
    u0, u1, u2, u3 = ((word.double() + 0.5) * 2.0**-32 for word in words)
    radius = (-2 * u0.log()).sqrt(), (-2 * u2.log()).sqrt()
    angle = 2 * math.pi * u1, 2 * math.pi * u3
    return (
        radius[0] * angle[0].cos(),
        radius[0] * angle[0].sin(),
        radius[1] * angle[1].cos(),
        radius[1] * angle[1].sin(),
    )
