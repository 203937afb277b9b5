"""A batch divided among processes, and random numbers that do not depend on how."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.distributed
from jaxtyping import Float
from torch import Tensor

from neuralsde.kernels.normals import draw_normals

Draw = Callable[[tuple[int, ...]], Tensor]


class Share(NamedTuple):
    """A process's trials among those of a batch.

    A process without a trial of its own computes with the batch's first one, whose weight is 0, so that all take part in every
    exchange of gradients.

    Args:
        first: number of its first trial in the batch.
        rows: how many trials it has.
        whole: trials of the batch.
        processes: how many processes divide the batch.
    """

    first: int
    rows: int
    whole: int
    processes: int

    @classmethod
    def of(cls, whole: int, rank: int, processes: int) -> "Share":
        """What falls to the process `rank`: as equal parts as can be, in the order of the ranks."""
        least, longer = divmod(whole, processes)
        rows = least + (rank < longer)
        return cls(rank * least + min(rank, longer) if rows else 0, rows, whole, processes)

    @property
    def held(self) -> int:
        """Trials that it computes with."""
        return max(self.rows, 1)

    @property
    def part(self) -> float:
        """Its part of the batch's trials."""
        return self.rows / self.whole

    @property
    def weight(self) -> int:
        """What its terms are multiplied by, so that their mean over the processes is the sum over all trials."""
        return self.processes if self.rows else 0

    def summed(self, counts: Tensor) -> Tensor:
        """The sum of `counts` over the processes, in place."""
        torch.distributed.all_reduce(counts)
        return counts

    def taken(self, whole: Tensor, axis: int) -> Tensor:
        """Its part of what was drawn for all trials of the batch, one sample after the other along `axis`."""
        samples = whole.unflatten(axis, (-1, self.whole))
        return samples.narrow(axis + 1, self.first, self.held).flatten(axis, axis + 1)


_share: Share | None = None  # no ContextVar: a checkpointed backward pass draws anew in threads of autograd's own


def set_share(share: Share | None) -> None:
    """From here on random numbers are those of a part of a batch; None for all of it."""
    global _share
    _share = share


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """The same for a while."""
    before = _share
    set_share(share)
    try:
        yield
    finally:
        set_share(before)


def is_divided() -> bool:
    """Whether random numbers are those of a part of a batch."""
    return _share is not None


def drawn(draw: Draw, shape: tuple[int, ...], axis: int = 0) -> Tensor:
    """What `draw` gives for this process's trials: their part of what it would give for the whole batch.

    Every process draws all numbers from the same seed and keeps its own, so that each trial meets the noise that it would
    have met in one process.

    Args:
        draw: makes random numbers of a shape.
        shape: with this process's trials alone.
        axis: of the trials (under several samples, one after the other), counted from the front.
    """
    if _share is None:
        return draw(shape)
    whole = shape[axis] // _share.held * _share.whole
    return _share.taken(draw((*shape[:axis], whole, *shape[axis + 1 :])), axis)


def averaged(means: Tensor) -> Tensor:
    """The means over the whole batch of what are means over this process's trials; every process has to ask."""
    return means if _share is None else _share.summed(means * _share.part)


def normals(
    shape: tuple[int, ...],
    like: Tensor,
    axis: int = 0,
    generator: torch.Generator | None = None,
    std: Float[Tensor, " first"] | None = None,
) -> Tensor:
    """Normals of this process's trials, of the dtype and on the device of `like`; see `drawn` and `draw_normals`.

    Args:
        std: standard deviations along the first axis, which is not that of the trials; 1 if None.
    """
    return drawn(lambda size: draw_normals(size, like, generator, std), shape, axis)


def uniforms(shape: tuple[int, ...], like: Tensor, axis: int = 0) -> Tensor:
    """The same, uniform on [0, 1)."""
    return drawn(lambda size: torch.rand(size, dtype=like.dtype, device=like.device), shape, axis)
