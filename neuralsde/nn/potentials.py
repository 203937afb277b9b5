"""Potentials of Langevin dynamics, each with its force in closed form."""

import abc
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError


class ConfiningPotential(nn.Module, abc.ABC):
    r"""A potential that grows as $\frac12 |x|^2$ far out, for Langevin dynamics that stay bounded.

    Args:
        size: number of positions.
    """

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    @abc.abstractmethod
    def forward(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch"]:
        """$F(x)$."""

    @abc.abstractmethod
    def gradient(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
        r"""$\nabla F(x)$, in closed form."""

    @abc.abstractmethod
    def curvature(self) -> Float[Tensor, ""]:
        """An upper bound of the Hessian's eigenvalues, everywhere."""

    def prepared(self) -> "ConfiningPotential":
        """The same potential, with what depends on parameters alone computed once for a solve."""
        return self


class Quadratic(ConfiningPotential):
    r"""Independent oscillators, $F(x) = \frac12 |x|^2$.

    Args:
        size: number of positions.
    """

    def forward(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch"]:
        return 0.5 * x.square().sum(-1)

    def gradient(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
        return x

    def curvature(self) -> Float[Tensor, ""]:
        return torch.ones(())


class CoupledOscillators(ConfiningPotential):
    r"""Oscillators on a ring, each tied to its neighbours by springs of positive, learned stiffness $k$:

    $$F(x) = \tfrac12 |x|^2 + \tfrac12 \sum_{o=1}^{\text{reach}} \sum_p k_{op}\, (x_{p+o} - x_p)^2 .$$

    Positive definite whatever is learned, unlike `LocallyCoupledOscillators`.

    Args:
        size: number of positions.
        reach: neighbours on each side that an oscillator is tied to, fewer than `size`.
        stiffness: $k$ at the start.

    Raises:
        ConfigError: an impossible reach or stiffness.
    """

    def __init__(self, size: int, reach: int = 1, stiffness: float = 0.3):
        super().__init__(size)
        if not 1 <= reach < max(size, 2) or stiffness <= 0:
            raise ConfigError(
                f"The coupled oscillators got reach={reach} and stiffness={stiffness}; give a reach from 1 to below {size} "
                "oscillators and a positive stiffness."
            )
        self.log_stiffness = nn.Parameter(torch.full((reach, size), math.log(stiffness)))

    def forward(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch"]:
        return 0.5 * (x * self.gradient(x)).sum(-1)

    def gradient(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
        return x @ self.matrix()

    def curvature(self) -> Float[Tensor, ""]:
        return self.matrix().abs().sum(1).amax()  # Gershgorin

    def matrix(self) -> Float[Tensor, "size size"]:
        r"""The symmetric $K$ of $F(x) = \frac12 x^\top K x$: the identity plus the springs' Laplacian."""
        identity = torch.eye(self.size, dtype=self.log_stiffness.dtype, device=self.log_stiffness.device)
        shifts = torch.stack([identity.roll(o + 1, 1) - identity for o in range(len(self.log_stiffness))])
        return identity + torch.einsum("op,opi,opj->ij", self.log_stiffness.exp(), shifts, shifts)

    def prepared(self) -> ConfiningPotential:
        return _Tabulated(self.matrix())


class _Tabulated(ConfiningPotential):
    """A quadratic potential whose matrix has been computed."""

    def __init__(self, matrix: Float[Tensor, "size size"]):
        super().__init__(len(matrix))
        self.matrix = matrix

    def forward(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch"]:
        return 0.5 * (x * (x @ self.matrix)).sum(-1)

    def gradient(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
        return x @ self.matrix

    def curvature(self) -> Float[Tensor, ""]:
        return self.matrix.abs().sum(1).amax()


class NetPotential(ConfiningPotential):
    r"""A net of one hidden layer on top of a bowl, $F(x) = \frac12 |x|^2 + \sum_k a_k \ln\cosh(w_k \cdot x + b_k)$.

    Its force, $-x - W^\top (a \odot \tanh(W x + b))$, is bounded but for the bowl's; negative $a_k$ dig wells.

    Args:
        size: number of positions.
        hidden_size: hidden units $k$.
    """

    def __init__(self, size: int, hidden_size: int = 32):
        super().__init__(size)
        self.inner = nn.Linear(size, hidden_size)
        self.outer = nn.Parameter(torch.randn(hidden_size) / hidden_size)

    def forward(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch"]:
        hidden = self.inner(x)
        log_cosh = hidden.abs() + torch.log1p((-2 * hidden.abs()).exp()) - math.log(2)
        return 0.5 * x.square().sum(-1) + log_cosh @ self.outer

    def gradient(self, x: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
        return x + (self.outer * torch.tanh(self.inner(x))) @ self.inner.weight

    def curvature(self) -> Float[Tensor, ""]:
        return 1 + (self.outer.abs() * self.inner.weight.square().sum(1)).sum()


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
            raise ConfigError(
                f"The potential's state of {size} does not split into {channels} rows; choose a multiple, or other rows."
            )
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
