"""What an equation tells a solver: its coefficients, and two facts about its class."""

import abc
import enum
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

Time = Float[Tensor, "*#batch 1"] | Float[Tensor, ""]  # one time for all samples, or one per sample


class NoiseType(enum.Enum):
    """How the diffusion depends on the state, and its shape."""

    ADDITIVE = "additive"  # not at all (it may depend on time); the diagonal, or a matrix
    DIAGONAL = "diagonal"  # g_i on z_i alone; `diffusion` returns the diagonal
    SCALAR = "scalar"  # one Brownian motion drives every component: a matrix with one column
    GENERAL = "general"  # a matrix


class Calculus(enum.Enum):
    """In which sense the stochastic integral is meant."""

    ITO = "Itô"
    STRATONOVICH = "Stratonovich"


class AbstractSDE(nn.Module, abc.ABC):
    r"""The equation $dz = f(t, z)\,dt + g(t, z)\,dW$.

    A subclass states `noise` and `calculus`, and implements `drift` and `diffusion`, both for any batch shape. Time is
    a tensor that broadcasts against the state, so that it may differ per sample.
    """

    noise: NoiseType  # facts of the class, except of a class that wraps another equation
    calculus: Calculus
    units: ClassVar[Mapping[str, str]] = {}  # of what it has learned, by name, where there is one: "1/time", "Hz"
    in_seconds: bool = False  # whether its coefficients are per second, so that no other clock fits

    @abc.abstractmethod
    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """$f(t, z)$, state per unit time."""

    @abc.abstractmethod
    def diffusion(
        self, t: Time, z: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"] | Float[Tensor, "*batch state noise"]:
        """$g(t, z)$, state per square root of time: the diagonal if $W$ has one component per state, else a matrix."""

    def diffusion_with_slope(
        self, t: Time, z: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]:
        r"""Of diagonal noise: $g_i(t, z_i)$ and $\partial g_i / \partial z_i$, by differentiation unless a subclass knows it.

        The Jacobian is diagonal, hence the row sums that one reverse-mode product gives.
        """
        g, transpose = torch.func.vjp(lambda x: self.diffusion(t, x), z)[:2]
        return g, transpose(torch.ones_like(g))[0]

    def coordinates(self, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """The state in unconstrained coordinates of about unit size, which nets read and in which a process starts."""
        return z

    def from_coordinates(self, y: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """The inverse of `coordinates` (for a geometric equation: onto positive states)."""
        return y

    def in_coordinates(
        self, t: Time, y: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]:
        """Of diagonal noise: drift and diffusion of the unconstrained coordinates' own equation (in the same calculus), and
        the derivative of the diffusion of each by its own state; those of the state where it is unconstrained itself.

        Raises:
            ConfigError: there are no coordinates in which the noise never vanishes.
        """
        if self.noise is NoiseType.ADDITIVE:
            return self.drift(t, y), self.diffusion(t, y), torch.zeros_like(y)
        return self.drift(t, y), *self.diffusion_with_slope(t, y)

    def prepared(self) -> "AbstractSDE":
        """The same equation, with what depends on parameters alone computed once for a solve."""
        return self

    def learned(self) -> dict[str, Float[Tensor, " _"]]:
        """What it has learned that has a name in the field, such as rates; shown as training goes on."""
        return {}

    def noise_size(self, state_size: int) -> int:
        """Number of Brownian motions; as many as states unless a subclass says otherwise."""
        return 1 if self.noise is NoiseType.SCALAR else state_size


def noise_term(g: Float[Tensor, "*diffusion"], w: Float[Tensor, "*batch noise"]) -> Float[Tensor, "*batch state"]:
    """$g w$: elementwise for a diagonal `(*batch, noise)`, else a matrix `(*batch, state, noise)` times a vector."""
    if g.ndim == w.ndim:
        return g * w
    return (g @ w.unsqueeze(-1)).squeeze(-1)
