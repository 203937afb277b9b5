"""What drives an equation: a source of Brownian increments over any grid of times."""

import abc
import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.noise.increments import Increments, LevyArea


class AbstractNoise(abc.ABC):
    """A source of Brownian paths, asked once per solve for all steps of a grid."""

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
