"""Space-space Lévy area of several Brownian motions over one step, approximated given W and H."""

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.noise.increments import Increments, LevyArea
from neuralsde.shares import normals


def space_space_area(path: Increments, generator: torch.Generator | None = None) -> Float[Tensor, "*batch m m"]:
    r"""A draw with the conditional mean and variance of $A_{ij} = \frac12\int (W_i\,dW_j - W_j\,dW_i)$ given $W, H$.

    $$E[A_{ij}] = H_i W_j - W_i H_j, \qquad Var[A_{ij}] = \frac{h^2}{20} + \frac h5 (H_i^2 + H_j^2).$$

    The result is antisymmetric, in units of time.

    Args:
        path: increments of one step with the space-time area.
        generator: where the normals come from; torch's global generator if None.

    Raises:
        ConfigError: the path has no space-time area.

    Reference: Davie, "KMT theory applied to approximations of SDE", 2014; Foster, PhD thesis, Oxford 2020.
    """
    if path.area is LevyArea.NONE:
        raise ConfigError(f"Space-space areas are drawn given H, but the path carries {path.area.name} areas.")
    mean = path.h[..., :, None] * path.w[..., None, :]
    square = path.h[..., :, None] ** 2 + path.h[..., None, :] ** 2
    dt = path.dt[..., None]
    entries = normals(square.shape, square, generator=generator)
    skew = entries - entries.mT  # entries of variance 2
    return mean - mean.mT + (dt**2 / 40 + dt / 10 * square).sqrt() * skew
