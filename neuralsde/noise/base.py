"""What drives an equation: a source of Brownian increments over any grid of times."""

import abc
import itertools
import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.noise.increments import Increments, LevyArea
from neuralsde.noise.ou_bank import OUBank, Transition
from neuralsde.noise.outlook import Outlook


class AbstractNoise(abc.ABC):
    """A source of driving paths, asked once per solve for all steps of a grid.

    Class fact: `is_brownian`. Other noise remembers: it is a filter of Brownian increments, whose state is its memory, of
    `memory_shape` (noise, process); `has_past` says whether it begins with something to remember.
    """

    is_brownian: ClassVar[bool] = True
    memory_shape: tuple[int, int] = (0, 0)
    has_past: bool = False

    @property
    def memory_size(self) -> int:
        """Numbers that are remembered."""
        return math.prod(self.memory_shape)

    @abc.abstractmethod
    def increments(
        self,
        times: Float[Tensor, "points *#batch 1"],
        shape: tuple[int, ...],
        area: LevyArea = LevyArea.NONE,
        dtype: torch.dtype | None = None,
    ) -> Increments:
        """Increments over the `points - 1` steps between increasing `times`.

        Args:
            times: step ends, `(points, 1, ..., 1)` when shared, `(points, *batch, 1)` when they differ per sample.
            shape: `(*batch, m)`: batch shape and number of Brownian motions.
            area: the Lévy areas wanted.
            dtype: of the increments; that of `times` if None.

        Returns:
            increments with a leading axis of `points - 1` steps, on the device of `times`.
        """

    def bank(self, times: Float[Tensor, "points *#batch 1"], dtype: torch.dtype) -> OUBank | None:
        """What makes the noise from Brownian increments over the steps between `times`; None where it is they."""
        return None

    def drive(
        self,
        bank: OUBank | None,
        times: Float[Tensor, "points *#batch 1"],
        shape: tuple[int, ...],
        area: LevyArea,
        dtype: torch.dtype,
    ) -> tuple[Increments, list[Transition] | None]:
        """The Brownian increments behind a new path, and the steps that make it from them; None where it is they."""
        return self.increments(times, shape, area, dtype), None

    def learned(self) -> dict[str, Float[Tensor, " _"]]:
        """What it has learned that has a name in the field; shown as training goes on."""
        return {}

    def fresh_memory(self, batch: tuple[int, ...], like: Tensor) -> Tensor | None:
        """The memory at the first time, drawn from the prior; None where there is none."""
        return None

    def past(self, whitened: Float[Tensor, "*batch noise process"]) -> Float[Tensor, "*batch noise process"]:
        """The memory at the first time that independent standard normals stand for."""
        return whitened

    def outlook(self, times: Float[Tensor, "points *#batch 1"], bank: OUBank | None, every: int) -> Outlook | None:
        """What a control may know of the noise in each bin of `every` steps; None where there is nothing to know."""
        return None

    @abc.abstractmethod
    def spawn(self, steps: Sequence[int]) -> "list[AbstractNoise]":
        """Sources for consecutive stretches of so many `steps`, each giving the same numbers whenever asked.

        They let a checkpointed backward pass redraw a stretch instead of storing it.
        """


class FixedPath(AbstractNoise):
    """A path already drawn, for one grid: the same path may then drive two solvers, or be coarsened between them.

    Args:
        path: increments with a leading axis of steps.
    """

    def __init__(self, path: Increments):
        self.path = path

    def increments(
        self,
        times: Float[Tensor, "points *#batch 1"],
        shape: tuple[int, ...],
        area: LevyArea = LevyArea.NONE,
        dtype: torch.dtype | None = None,
    ) -> Increments:
        """The path, after a check that it belongs to this grid.

        Raises:
            ConfigError: steps, shape or dtype of the path differ from those asked for, or it lacks the areas.
        """
        found, wanted = tuple(self.path.w.shape), (len(times) - 1, *shape)
        if found != wanted:
            raise ConfigError(f"The path has shape {found} (steps, *batch, noise), but the grid asks for {wanted}.")
        if dtype is not None and self.path.w.dtype != dtype:
            raise ConfigError(f"The path has dtype {self.path.w.dtype}, but the state has {dtype}.")
        return self.path.keep(area)

    def spawn(self, steps: Sequence[int]) -> list[AbstractNoise]:
        """Stretches of the path."""
        stops = itertools.accumulate(steps)
        return [FixedPath(self.path[stop - count : stop]) for stop, count in zip(stops, steps, strict=True)]
