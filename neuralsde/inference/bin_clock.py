"""Ordinary equations solved from bin to bin, in a clock that counts bins, so that every trial may have times of its own."""

from collections.abc import Callable

import torch
import torchdiffeq
from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError

FIXED_STEP = ("euler", "midpoint", "heun2", "heun3", "rk4")
ADAPTIVE = ("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun")
METHODS = (*FIXED_STEP, *ADAPTIVE)
"""Methods that remember no earlier steps: others would carry them across the bins' borders, where the clock changes speed."""

BinRate = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Rate of change per bin, of the bin's number, the share of it that has passed, and the state."""


def check_method(method: str) -> None:
    """Raises:
    ConfigError: there is no such method.
    """
    if method not in METHODS:
        raise ConfigError(f"model.dynamics.method is {method!r}; choose one of {', '.join(METHODS)}.")


def solve_over_bins(
    rate: BinRate, z0: Float[Tensor, "batch state"], bins: int, method: str
) -> Float[Tensor, "batch bin state"]:
    """The path of $dz/ds$ = `rate` from `z0` in the first bin through the others; methods of fixed step take one per bin."""
    if bins == 1:
        return z0[:, None]

    def along(s: Float[Tensor, ""], z: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
        bin = s.floor().long().clamp(0, bins - 2)
        return rate(bin, s - bin, z)

    numbers = torch.arange(bins, dtype=z0.dtype, device=z0.device)
    # A step must not look into the next bin, where the clock may run faster.
    options = {"perturb": True} if method in FIXED_STEP else {"jump_t": numbers[1:-1]}
    path = torchdiffeq.odeint(along, z0, numbers, method=method, options=options)
    assert isinstance(path, Tensor)
    return path.transpose(0, 1)
