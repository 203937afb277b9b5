"""Our equations through torchsde, on the same Brownian path, and their drift through torchdiffeq."""

import bisect
from typing import Any, cast

import torch
import torchdiffeq
import torchsde
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import AbstractSDE, Calculus, NoiseType


class TorchSDEForm(nn.Module):
    """`sde` as torchsde wants it: methods `f`, `g` and its words for noise type and calculus.

    Args:
        sde: the equation.
        state_size: size of its state; tells whether additive noise is diagonal.
    """

    def __init__(self, sde: AbstractSDE, state_size: int):
        super().__init__()
        self.sde = sde
        self.sde_type = "ito" if sde.calculus is Calculus.ITO else "stratonovich"
        probe = sde.diffusion(torch.zeros(()), torch.zeros(1, state_size))
        # Torchsde's additive noise is a matrix; ours with a diagonal is a case of its diagonal noise.
        self.noise_type = "diagonal" if probe.ndim == 2 and sde.noise is NoiseType.ADDITIVE else sde.noise.value

    def f(self, t: Tensor, y: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
        return self.sde.drift(t, y)

    def g(
        self, t: Tensor, y: Float[Tensor, "batch state"]
    ) -> Float[Tensor, "batch state"] | Float[Tensor, "batch state noise"]:
        return self.sde.diffusion(t, y)


class PathOnGrid(torchsde.BaseBrownian):
    """A path of ours as torchsde's Brownian motion; it knows the path between the times of its grid only.

    Args:
        path: increments with a leading axis of steps.
        times: the `steps + 1` times of the grid.
    """

    __slots__ = ("path", "times")

    def __init__(self, path: Increments, times: Float[Tensor, " times"]):
        self.path, self.times = path, times.tolist()

    def __call__(self, ta: Any, tb: Any = None, return_U: bool = False, return_A: bool = False) -> Any:
        """The increment from `ta` to `tb`, with the time integral `U` of the path if asked for.

        Raises:
            ConfigError: a time is not on the grid, or a space-space area is asked for.
        """
        if return_A:
            raise ConfigError("A path on a grid has no space-space Lévy area; choose a torchsde method without one.")
        first, last = (self.times[0], ta) if tb is None else (ta, tb)
        start, stop = self._index(float(first)), self._index(float(last))
        piece = self.path[start:stop].coarsen(stop - start)[0]
        if not return_U:
            return piece.w
        return piece.w, piece.dt * (piece.w / 2 + piece.h)

    def _index(self, t: float) -> int:
        tolerance = 1e-5 * (self.times[-1] - self.times[0])  # torchsde's own times are sums in single precision
        index = bisect.bisect_left(self.times, t - tolerance)
        if index == len(self.times) or abs(self.times[index] - t) > tolerance:
            raise ConfigError(f"Torchsde asked for time {t}, which is not among the {len(self.times)} of the path's grid.")
        return index

    def __repr__(self) -> str:
        return f"PathOnGrid(steps={len(self.path)}, shape={tuple(self.shape)})"

    @property
    def dtype(self) -> torch.dtype:
        return self.path.w.dtype

    @property
    def device(self) -> torch.device:
        return self.path.w.device

    @property
    def shape(self) -> torch.Size:
        return self.path.w.shape[1:]

    @property
    def levy_area_approximation(self) -> str:
        return "none" if self.path.area is LevyArea.NONE else "space-time"


def sdeint(
    sde: AbstractSDE,
    z0: Float[Tensor, "batch state"],
    times: Float[Tensor, " times"],
    path: Increments,
    method: str,
    adjoint: bool = False,
    **options: Any,
) -> Float[Tensor, "times batch state"]:
    """`sde` through `torchsde.sdeint`, or `sdeint_adjoint`, in the equal steps of `path`.

    Args:
        sde: the equation.
        z0: initial state.
        times: times of the solution, on the grid of `path`.
        path: the Brownian path, over equal steps from the first to the last time.
        method: torchsde's name of a method.
        adjoint: whether to use torchsde's adjoint for the backward pass.
        options: passed on to torchsde.
    """
    form = TorchSDEForm(sde, z0.shape[-1]).to(z0)
    grid = torch.linspace(float(times[0]), float(times[-1]), len(path) + 1, dtype=torch.float64)
    solve = torchsde.sdeint_adjoint if adjoint else torchsde.sdeint
    dt = (float(times[-1]) - float(times[0])) / len(path)
    return cast(Tensor, solve(form, z0, times, bm=PathOnGrid(path, grid), method=method, dt=dt, **options))


def odeint(
    sde: AbstractSDE, z0: Float[Tensor, "*batch state"], times: Float[Tensor, " times"], **options: Any
) -> Float[Tensor, "times *batch state"]:
    """The drift of `sde` alone, through `torchdiffeq.odeint`, to which `options` are passed on."""
    return cast(Tensor, torchdiffeq.odeint(sde.drift, z0, times, **options))
