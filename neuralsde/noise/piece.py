"""Algebra of adjacent path pieces; their areas are un-normalised, so that a piece of length zero is neutral."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Piece:
    r"""A Brownian path over one interval of length $l$: $W$, $\bar H = l H$ and $\bar K = l^2 K$.

    Args:
        length: length $l$, time; a shape that broadcasts against `w`.
        w: increment, time^(1/2).
        bh: un-normalised space-time area, time^(3/2), or None.
        bk: un-normalised space-time-time area, time^(5/2), or None.
    """

    length: Float[Tensor, "*#path"]
    w: Float[Tensor, "*#path"]
    bh: Float[Tensor, "*#path"] | None = None
    bk: Float[Tensor, "*#path"] | None = None

    def map(self, function, *others: "Piece") -> "Piece":
        """`function` applied field by field to this piece and `others`, areas that are unknown staying so."""
        bh = None if self.bh is None else function(self.bh, *(other.bh for other in others))
        bk = None if self.bk is None else function(self.bk, *(other.bk for other in others))
        length = function(self.length, *(other.length for other in others))
        return Piece(length, function(self.w, *(other.w for other in others)), bh, bk)

    def where(self, mask: Bool[Tensor, "*#path"], other: "Piece") -> "Piece":
        """This piece where `mask` holds, `other` elsewhere."""
        return self.map(lambda mine, theirs: torch.where(mask, mine, theirs), other)

    def join(self, after: "Piece") -> "Piece":
        """This piece followed by `after` (Chen's relation, exact)."""
        h1, h2 = self.length, after.length
        b = h2 * self.w - h1 * after.w
        bh = bk = None
        if self.bh is not None and after.bh is not None:
            bh = self.bh + after.bh + b / 2
            if self.bk is not None and after.bk is not None:
                bk = self.bk + after.bk + (h2 * self.bh - h1 * after.bh) / 2 + (h2 - h1) / 12 * b
        return Piece(h1 + h2, self.w + after.w, bh, bk)

    def without_head(self, head: "Piece") -> "Piece":
        """What follows when the adjacent piece `head` is cut from the front: the inverse of `join`."""
        h1, h2 = head.length, self.length - head.length
        w = self.w - head.w
        b = h2 * head.w - h1 * w
        bh = bk = None
        if self.bh is not None and head.bh is not None:
            bh = self.bh - head.bh - b / 2
            if self.bk is not None and head.bk is not None:
                bk = self.bk - head.bk - (h2 * head.bh - h1 * bh) / 2 - (h2 - h1) / 12 * b
        return Piece(h2, w, bh, bk)

    def reversed(self) -> "Piece":
        """The path run backwards in time."""
        return Piece(self.length, -self.w, self.bh, None if self.bk is None else -self.bk)
