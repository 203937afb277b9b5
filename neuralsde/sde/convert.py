"""From one calculus to the other: the same process, written with another drift."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time


def correction(sde: AbstractSDE, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
    r"""$\frac12 \sum_j \partial_z g_j\, g_j$, by differentiation along each column $g_j$; for diagonal noise it is
    $\frac12 g\,\partial g / \partial z$."""
    if sde.noise is NoiseType.ADDITIVE:
        return torch.zeros_like(z)
    if sde.noise is NoiseType.DIAGONAL:
        g, slope = sde.diffusion_with_slope(t, z)
        return g * slope / 2
    g = sde.diffusion(t, z)
    columns = (along(lambda x, j=j: sde.diffusion(t, x)[..., j], z, g[..., j]) for j in range(g.shape[-1]))
    return torch.stack(list(columns)).sum(0) / 2


def along(function: Callable[[Tensor], Tensor], z: Tensor, direction: Tensor) -> Tensor:
    """The derivative of `function` along `direction`: the transpose of the reverse-mode product, itself linear.

    Torch's forward mode would say it in one call, but warns of its own deprecated parts when first used.
    """
    value, transpose = torch.func.vjp(function, z)[:2]
    back = torch.func.vjp(transpose, torch.zeros_like(value))[1]
    return back((direction,))[0]


class _Converted(AbstractSDE):
    """`sde` with a drift corrected by `sign` times the difference of the two calculi."""

    sign: int

    def __init__(self, sde: AbstractSDE):
        super().__init__()
        self.sde = sde
        self.noise = sde.noise

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        f = self.sde.drift(t, z)
        return f if self.sde.calculus is self.calculus else f + self.sign * correction(self.sde, t, z)

    def diffusion(
        self, t: Time, z: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"] | Float[Tensor, "*batch state noise"]:
        return self.sde.diffusion(t, z)

    def noise_size(self, state_size: int) -> int:
        return self.sde.noise_size(state_size)


class StratonovichForm(_Converted):
    r"""The process of `sde` in Stratonovich form: $f_S = f_I - \frac12 \sum_j \partial_z g_j\, g_j$."""

    calculus = Calculus.STRATONOVICH
    sign = -1


class ItoForm(_Converted):
    r"""The process of `sde` in Itô form: $f_I = f_S + \frac12 \sum_j \partial_z g_j\, g_j$."""

    calculus = Calculus.ITO
    sign = 1
