"""Potentials of Langevin dynamics, each with its force in closed form."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError


class LocallyCoupledOscillators(nn.Module):
    r"""The potential of the LangevinFlow release: neighbouring oscillators coupled by a normalised convolution.

    With the state as $C$ rows of length $L$ and each length-3 kernel of $W \in \mathbb{R}^{C\times C\times 3}$ scaled to
    unit norm,

    $$U(z) = \Big\langle \sum_i C_i, \sum_j Z_j \Big\rangle, \qquad
      C_i[p] = \sum_{k,\tau} W_{ik\tau}\, Z_k[p + \tau - 1].$$

    $U$ is quadratic, so its gradient is $A z$ with $A$ symmetric, of rank at most $2L$ and with as many negative as
    positive eigenvalues: the potential does not confine (kept as published; see `docs/models/langevinflow.md`).

    Args:
        size: length of the state, a multiple of `channels`.
        channels: rows $C$.
        kernel_init: `zeros_normalized` as released (its first gradient is about 1e12 times too large: Adam then
            freezes the kernel at $\pm 1/\sqrt 3$), or `random_normalized`.

    Reference: Song et al., 2025, arXiv:2507.11531, and its release.
    """

    def __init__(
        self,
        size: int,
        channels: int = 4,
        kernel_init: str = "zeros_normalized",
    ):
        super().__init__()
        if size % channels:
            raise ConfigError(f"The potential's state of {size} does not split into {channels} rows; choose a multiple.")
        if kernel_init not in ("zeros_normalized", "random_normalized"):
            raise ConfigError(f"kernel_init is {kernel_init!r}; choose zeros_normalized or random_normalized.")
        kernel = torch.zeros(channels, channels, 3)
        self.kernel = nn.Parameter(kernel if kernel_init == "zeros_normalized" else torch.randn_like(kernel))
        self.rows = (channels, size // channels)

    def forward(self, z: Float[Tensor, "batch state"]) -> Float[Tensor, " batch"]:
        """The potential $U(z)$, one value per sample."""
        weight = nn.functional.normalize(self.kernel, dim=2)
        rows = z.unflatten(1, self.rows)
        return (nn.functional.conv1d(rows, weight, padding=1).sum(1) * rows.sum(1)).sum(1)

    def matrix(self) -> Float[Tensor, "state state"]:
        r"""The symmetric $A$ of $\nabla U(z) = A z$.

        Both terms of the gradient come from the summed kernel $K_k = \sum_i W_{ik}$: it maps a state to one row, which
        every row receives, and its transpose maps the sum of the rows back.
        """
        channels, length = self.rows
        summed = nn.functional.normalize(self.kernel, dim=2).sum(0)  # (channel, tap)
        bands = [torch.diag(summed.new_ones(length - abs(o)), o) for o in (-1, 0, 1)]
        row_map = torch.einsum("ct,tpq->pcq", summed, torch.stack(bands)).flatten(1)  # (position, state)
        spread = row_map.repeat(channels, 1)  # every row receives the same
        return spread + spread.T
