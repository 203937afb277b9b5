"""A Brownian path that may be asked for any times in any order: a dyadic tree whose nodes are functions of the seed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.noise.base import AbstractNoise
from neuralsde.noise.brownian import VARIANCES
from neuralsde.noise.conditional import interior, split
from neuralsde.noise.increments import Increments, LevyArea, from_piece
from neuralsde.noise.philox import counter_normals
from neuralsde.noise.piece import Piece

BLOCK = 1 << 16  # normals drawn at once: bounds the memory of a query and keeps it in cache, never changes its result
ROOT = 0xFFFFFFFF  # the level in the counter of the root's own draw


class BrownianTree(AbstractNoise):
    """Brownian motion on `[t0, t1]` with the exact joint law of its increments and areas at any times.

    A query walks from the root to a leaf, halving by the exact conditional law, and draws the last stretch by the
    conditional law of an interior point. An increment is the join of the disjoint pieces between its two ends, so
    that it keeps full relative precision however short it is. Nothing is cached: memory does not grow with queries,
    and the same numbers come whatever the order of asking, on every device. Nodes of a level are handled
    together for the whole batch and all times of the query.

    The path of sample `b` depends on the seed and on the `shape` asked for, which one solve keeps fixed.

    Args:
        seed: of the path; 0 is a seed.
        t0: first time.
        t1: last time, after `t0`.
        tolerance: distinct times must lie at least this far apart, same unit as `t0`.
        area: the Lévy areas the path carries; a query may ask for less and stays on the same path.

    Raises:
        ConfigError: `t1` is not after `t0`, or `tolerance` is not positive.

    Reference: Jelinčič, Foster, Kidger, arXiv 2405.06464.
    """

    def __init__(self, seed: int, t0: float, t1: float, tolerance: float, area: LevyArea = LevyArea.SPACE_TIME_TIME):
        if not t1 > t0:
            raise ConfigError(f"A Brownian tree needs t1 after t0, but t0 is {t0} and t1 is {t1}.")
        if not tolerance > 0:
            raise ConfigError(f"A Brownian tree needs a positive tolerance, but it is {tolerance}.")
        self.seed, self.t0, self.t1, self.tolerance, self.area = seed, t0, t1, tolerance, area
        # The root reaches a little past t1, so that t1 is not the end of the last leaf but lies inside one.
        self.span = t1 - t0 + tolerance
        self.depth = math.ceil(math.log2(self.span / tolerance))

    def increments(
        self,
        times: Float[Tensor, "points *#batch 1"],
        shape: tuple[int, ...],
        area: LevyArea = LevyArea.NONE,
        dtype: torch.dtype | None = None,
    ) -> Increments:
        """Increments over the steps between `times`; see the base class.

        Raises:
            ConfigError: a time lies outside `[t0, t1]`, or two lie closer than `tolerance`.
        """
        self._check(times)
        unit = (times.double() - self.t0) / self.span
        stride = max(1, BLOCK // math.prod(shape))
        starts = range(0, len(unit) - 1, stride)
        pieces = [self._between(unit[start : start + stride + 1], shape) for start in starts]
        whole = pieces[0].map(lambda *parts: torch.cat(parts), *pieces[1:])
        path = from_piece(whole).keep(area)
        # The root has length one; W, H and K all scale with the square root of time.
        scale = math.sqrt(self.span)
        path = replace(path.map(lambda x: x * scale), dt=times.double().diff(dim=0))
        return path.map(lambda x: x.to(dtype or times.dtype))

    def spawn(self, steps: Sequence[int]) -> list[AbstractNoise]:
        """The tree itself: it gives the same path whenever asked."""
        return [self] * len(steps)

    def _check(self, times: Float[Tensor, "points *#batch 1"]) -> None:
        first, last, gap = times.min().item(), times.max().item(), times.diff(dim=0).min().item()
        forgiven = 1e-6 * self.tolerance + torch.finfo(times.dtype).eps * max(abs(first), abs(last))
        if first < self.t0 - forgiven or last > self.t1 + forgiven:
            raise ConfigError(f"The tree covers [{self.t0}, {self.t1}], but times in [{first}, {last}] were asked of it.")
        if gap < self.tolerance - 2 * forgiven:
            raise ConfigError(f"Times lie {gap} apart, but the Brownian tree's tolerance is {self.tolerance}.")

    def _between(self, unit: Float[Tensor, "points *#batch 1"], shape: tuple[int, ...]) -> Piece:
        """The pieces between neighbouring `unit` times."""
        leaf = (unit.clamp(min=0) * 2**self.depth).long()
        normals = self._normals(leaf, shape)
        node = self._root(shape, unit.device)
        node = node.map(lambda x: x.expand(len(unit), *x.shape))
        nothing = node.map(lambda x: torch.zeros_like(x[1:]))
        head, tail = nothing, nothing  # from a point to the end of its subtree; from that point to the next point
        for level in range(self.depth):
            left, right = split(node, next(normals))
            goes_right = (leaf >> (self.depth - level - 1)) % 2 == 1
            node, sibling = right.where(goes_right, left), left.where(goes_right, right)
            parent = leaf >> (self.depth - level)
            apart = parent[1:] != parent[:-1]
            before, after = sibling.map(lambda x: x[:-1]), sibling.map(lambda x: x[1:])
            head = before.join(head).where(apart & ~goes_right[:-1], head)
            tail = tail.join(after).where(apart & goes_right[1:], tail)
        cut = interior(node, (unit * 2**self.depth - leaf).clamp(0, 1), next(normals))
        head = cut[1].map(lambda x: x[:-1]).join(head)
        tail = tail.join(cut[0].map(lambda x: x[1:]))
        return head.join(tail)

    def _normals(
        self, leaf: Int[Tensor, "points *#batch 1"], shape: tuple[int, ...]
    ) -> Iterator[tuple[Float[Tensor, "points *batch m"], ...]]:
        """The normals of the nodes on the way to each leaf, level by level, the leaf's interior draw last."""
        elements, together = self._elements(shape, leaf.device), max(1, BLOCK // (len(leaf) * math.prod(shape)))
        for first in range(0, self.depth + 1, together):
            levels = range(first, min(first + together, self.depth + 1))
            node = torch.stack([leaf >> (self.depth - level) for level in levels])
            level = torch.tensor(levels, device=leaf.device).view(-1, *[1] * leaf.ndim)
            draws = counter_normals(elements, node, level, self.seed)
            yield from zip(*(draw.unbind() for draw in draws[: self.area + 1]), strict=True)

    def _root(self, shape: tuple[int, ...], device: torch.device) -> Piece:
        elements = self._elements(shape, device)
        zero = torch.zeros((), dtype=torch.long, device=device)
        draws = counter_normals(elements, zero, zero + ROOT, self.seed)
        values = (math.sqrt(variance) * z for variance, z in zip(VARIANCES[: self.area + 1], draws, strict=False))
        length = torch.ones([1] * len(shape), dtype=torch.float64, device=device)
        return Piece(length, *values)

    @staticmethod
    def _elements(shape: tuple[int, ...], device: torch.device) -> Int[Tensor, "*shape"]:
        return torch.arange(math.prod(shape), device=device).view(shape)
