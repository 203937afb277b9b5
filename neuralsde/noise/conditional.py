r"""Conditional laws of a Brownian path inside an interval, given its increment and areas over the interval.

Each function turns independent standard normals into pieces with the exact conditional law, for whichever of
$(W)$, $(W, H)$, $(W, H, K)$ the parent piece knows.

Reference: Foster, Lyons, Oberhauser, arXiv 2101.03446; Jelinčič, Foster, Kidger, "Single-seed generation of Brownian
paths and integrals for adaptive and high order SDE solvers", arXiv 2405.06464.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.noise.piece import Piece


def split(parent: Piece, normals: Sequence[Float[Tensor, "*path"]]) -> tuple[Piece, Piece]:
    """Left and right half of `parent`; reads as many of the three `normals` as the parent knows quantities."""
    length, half = parent.length, parent.length / 2
    if parent.bh is None:
        z = length.sqrt() / 2 * normals[0]
        return Piece(half, parent.w / 2 + z), Piece(half, parent.w / 2 - z)
    shift = 1.5 / length * parent.bh
    if parent.bk is None:
        z = length.sqrt() / 4 * normals[0]
        n = length / 4 * ((length / 12).sqrt() * normals[1])
        w, bh = (parent.w / 2, shift + z), (parent.bh / 8 - length / 4 * z, n)
        return Piece(half, w[0] + w[1], bh[0] + bh[1]), Piece(half, w[0] - w[1], bh[0] - bh[1])
    z = length.sqrt() / 4 * normals[0]
    x1 = (length / 768).sqrt() * normals[1]
    x2 = (length / 2880).sqrt() * normals[2]
    w = parent.w / 2, shift + z
    bh = parent.bh / 8 - length / 4 * z, 15 / 8 * parent.bk / length + length / 2 * x1
    bk = parent.bk / 32 - length**2 / 8 * x1, length**2 / 4 * x2
    left, right = Piece(half, *(a + b for a, b in (w, bh, bk))), Piece(half, *(a - b for a, b in (w, bh, bk)))
    return left, right


def interior(parent: Piece, ratio: Float[Tensor, "*#path"], normals: Sequence[Float[Tensor, "*path"]]) -> tuple[Piece, Piece]:
    """The pieces before and after the point at `ratio` in [0, 1] of `parent`.

    The shorter side is drawn and the longer one follows by difference: drawn from its own side, the covariance of
    (W, H, K) stays well conditioned however close the point lies to an end.
    """
    late = ratio > 0.5
    mirrored = parent.reversed().where(late, parent)
    short = _head(mirrored, torch.where(late, 1 - ratio, ratio), normals)
    long = mirrored.without_head(short)
    return long.reversed().where(late, short), short.reversed().where(late, long)


def _head(parent: Piece, p: Tensor, normals: Sequence[Tensor]) -> Piece:
    """The first part, a fraction `p` <= 1/2, of `parent`."""
    if parent.bh is None:
        return _head_w(parent.length, parent.w, p, normals)
    if parent.bk is None:
        return _head_wh(parent.length, parent.w, parent.bh, p, normals)
    return _head_whk(parent.length, parent.w, parent.bh, parent.bk, p, normals)


def _head_w(length: Tensor, w: Tensor, p: Tensor, normals: Sequence[Tensor]) -> Piece:
    return Piece(p * length, p * w + (length * p * (1 - p)).sqrt() * normals[0])


def _head_wh(length: Tensor, w: Tensor, bh: Tensor, p: Tensor, normals: Sequence[Tensor]) -> Piece:
    q = 1 - p
    d = (p**3 + q**3).sqrt()  # lengths are in units of the parent's here, and scaled below
    a = length**1.5 * p**3.5 * q**0.5 / (2 * d)
    b = length**1.5 * p**0.5 * q**3.5 / (2 * d)
    c = length**1.5 * (3 * p**3 * q**3).sqrt() / (6 * d)
    head_w = p * w + 6 * p * q / length * bh + 2 * (a + b) / length * normals[0]
    return Piece(p * length, head_w, p**3 * bh - a * normals[0] + c * normals[1])


def _head_whk(length: Tensor, w: Tensor, bh: Tensor, bk: Tensor, p: Tensor, normals: Sequence[Tensor]) -> Piece:
    q = 1 - p
    ww = p * q * ((p - q) ** 4 + 4 * p**2 * q**2)
    wh = -(p**3) * q * (p**2 - 3 * p * q + 6 * q**2) / 2
    wk = p**4 * q * (p - q) / 12
    hh = p / 12 * (1 - p**3 * (p**2 + 2 * p * q + 16 * q**2))
    hk = -q * p**5 / 24
    kk = p / 720 * (1 - p**5)
    # Cholesky factor of the covariance of (W, H, K) in units of the parent's length; 0 / 0 at p = 0 means 0.
    tiny = torch.finfo(p.dtype).tiny
    l11 = ww.sqrt()
    l21, l31 = wh / (l11 + tiny), wk / (l11 + tiny)
    l22 = (hh - l21**2).clamp(min=0).sqrt()
    l32 = (hk - l31 * l21) / (l22 + tiny)
    l33 = (kk - l31**2 - l32**2).clamp(min=0).sqrt()
    z1, z2, z3 = (length.sqrt() * z for z in normals[:3])
    head_w = p * w + 6 * p * q / length * bh + 120 * p * q * (0.5 - p) / length**2 * bk + l11 * z1
    h = p**2 / length * (bh + 30 * q / length * bk) + l21 * z1 + l22 * z2
    k = p**3 / length**2 * bk + l31 * z1 + l32 * z2 + l33 * z3
    head = p * length
    return Piece(head, head_w, head * h, head**2 * k)
