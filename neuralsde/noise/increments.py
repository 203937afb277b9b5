"""What a solver step reads of its Brownian path: the increment W and, where asked, the Lévy areas H and K."""

import enum
from dataclasses import dataclass
from functools import reduce

from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.noise.piece import Piece


class LevyArea(enum.IntEnum):
    """How much of the path over one step is known; each level contains those before it."""

    NONE = 0  # W
    SPACE_TIME = 1  # W and H
    SPACE_TIME_TIME = 2  # W, H and K


@dataclass(frozen=True)
class Increments:
    r"""A Brownian path over one step, or over all steps of a grid along a leading axis.

    With $\bar W_u = W_{s,u} - \frac{u-s}{h} W_{s,t}$ the bridge over a step $[s, t]$ of length $h$,

    $$H = \frac1h \int_s^t \bar W_u\,du, \qquad K = \frac1{h^2} \int_s^t \bar W_u \Bigl(\frac{s+t}2 - u\Bigr) du,$$

    so that $W \sim N(0, h)$, $H \sim N(0, h/12)$, $K \sim N(0, h/720)$, independent of each other and over steps.

    Args:
        dt: step length $h$, of a shape that broadcasts against `w` (it may differ per sample).
        w: increment $W$, square root of time.
        space_time: space-time Lévy area $H$, square root of time, or None; read it as `h`.
        space_time_time: space-time-time Lévy area $K$, square root of time, or None; read it as `k`.

    Reference: Foster, Lyons, Oberhauser, "The shifted ODE method for underdamped Langevin MCMC", arXiv 2101.03446.
    """

    dt: Float[Tensor, "*#path"]
    w: Float[Tensor, "*path"]
    space_time: Float[Tensor, "*path"] | None = None
    space_time_time: Float[Tensor, "*path"] | None = None

    @property
    def h(self) -> Float[Tensor, "*path"]:
        """$H$; raises ConfigError where it is not known."""
        return _known(self.space_time, self, LevyArea.SPACE_TIME)

    @property
    def k(self) -> Float[Tensor, "*path"]:
        """$K$; raises ConfigError where it is not known."""
        return _known(self.space_time_time, self, LevyArea.SPACE_TIME_TIME)

    @property
    def area(self) -> LevyArea:
        """The deepest Lévy area known."""
        return LevyArea((self.space_time is not None) + (self.space_time_time is not None))

    def __len__(self) -> int:
        return len(self.w)

    def __getitem__(self, index: int | slice) -> "Increments":
        """One step, or a stretch of steps, of a grid."""
        return self.map(lambda x: x[index])

    def unbind(self) -> "list[Increments]":
        """All steps of a grid, one by one; unlike indexing it costs a backward pass no array of the grid's size per step."""
        parts = (self.dt, self.w, self.space_time, self.space_time_time)
        columns = ([None] * len(self) if part is None else part.unbind(0) for part in parts)
        return [Increments(*step) for step in zip(*columns, strict=True)]

    def map(self, function) -> "Increments":
        """`function` applied to the length and to every quantity that is known."""
        h = None if self.space_time is None else function(self.space_time)
        k = None if self.space_time_time is None else function(self.space_time_time)
        return Increments(function(self.dt), function(self.w), h, k)

    def keep(self, area: LevyArea) -> "Increments":
        """Forget what lies beyond `area`.

        Raises:
            ConfigError: `area` is more than is known.
        """
        h = self.h if area >= LevyArea.SPACE_TIME else None
        return Increments(self.dt, self.w, h, self.k if area == LevyArea.SPACE_TIME_TIME else None)

    def join(self, after: "Increments") -> "Increments":
        """The same path over this step and the adjacent step `after` as one step: exact (Chen's relation)."""
        return from_piece(self.piece().join(after.piece()))

    def reversed(self) -> "Increments":
        """The path run backwards in time: W and K change sign, H keeps it."""
        k = None if self.space_time_time is None else -self.space_time_time
        return Increments(self.dt, -self.w, self.space_time, k)

    def coarsen(self, factor: int) -> "Increments":
        """The same path on a grid of `factor` times fewer steps.

        Raises:
            ConfigError: the number of steps is not a multiple of `factor`.
        """
        if len(self) % factor:
            raise ConfigError(f"A grid of {len(self)} steps cannot be coarsened by {factor}: it must divide the steps.")
        return reduce(Increments.join, (self[start::factor] for start in range(factor)))

    def piece(self) -> Piece:
        """The same with un-normalised areas."""
        bh = None if self.space_time is None else self.dt * self.space_time
        bk = None if self.space_time_time is None else self.dt**2 * self.space_time_time
        return Piece(self.dt, self.w, bh, bk)


def from_piece(piece: Piece) -> Increments:
    """Normalise the areas of a piece of positive length."""
    h = None if piece.bh is None else piece.bh / piece.length
    k = None if piece.bk is None else piece.bk / piece.length**2
    return Increments(piece.length, piece.w, h, k)


def _known(value: Tensor | None, path: Increments, area: LevyArea) -> Tensor:
    if value is None:
        raise ConfigError(f"The path carries {path.area.name} areas, but {area.name} was asked of it.")
    return value
