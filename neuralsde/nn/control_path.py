"""Paths through irregular observations: what a model may read between, or at, the times at which something was seen.

Series are padded: times repeat the last one, values are NaN. A channel of which nothing is known is 0. `carried_forward`
looks back only; the others use what comes later, and belong into models that may see the whole series.
"""

import itertools
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from neuralsde.kernels.splines import compiled_fill


class Carried(NamedTuple):
    """The last known value of each channel at some times.

    Args:
        value: (batch, query, channel); 0 before the first one.
        known: whether there has been one.
        elapsed: time since it was seen; since the series' first row where there has been none.
    """

    value: Float[Tensor, "batch query channel"]
    known: Bool[Tensor, "batch query channel"]
    elapsed: Float[Tensor, "batch query channel"]


def carried_forward(
    times: Float[Tensor, "batch row"],
    values: Float[Tensor, "batch row channel"],
    query: Float[Tensor, "batch query"] | None = None,
) -> Carried:
    """Last known values at or before the times of `query`, or of the rows."""
    before = last_known_row(values)
    if query is not None:
        row = torch.searchsorted(times.contiguous(), query.contiguous(), right=True) - 1
        before = rows_at(before, row, -1)
    known = before >= 0
    when = at_rows(times[..., None].expand_as(values), before)
    now = (times if query is None else query)[..., None]
    value = torch.where(known, at_rows(values, before), 0.0)
    return Carried(value, known, now - torch.where(known, when, times[:, :1, None]))


def linear_path(
    times: Float[Tensor, "batch row"],
    values: Float[Tensor, "batch row channel"],
    query: Float[Tensor, "batch query"] | None = None,
) -> Float[Tensor, "batch query channel"]:
    """Linearly between known values of each channel, the first and the last held beyond them."""
    if query is None and (filled := compiled_fill(times, values, natural=False)) is not None:
        return filled
    query = times if query is None else query
    row = torch.searchsorted(times.contiguous(), query.contiguous(), right=True) - 1
    before = rows_at(last_known_row(values), row, -1)
    after = rows_at(next_known_row(values), row + 1, values.shape[1])
    none_before, none_after = before < 0, after >= values.shape[1]
    left = torch.where(none_before, after, before).clamp(max=values.shape[1] - 1)
    right = torch.where(none_after, before, after).clamp(min=0)
    t0, t1 = (at_rows(times[..., None].expand_as(values), k) for k in (left, right))
    x0, x1 = (at_rows(values, k) for k in (left, right))
    share = (query[..., None] - t0) / torch.where(t1 > t0, t1 - t0, 1.0)
    return torch.where(none_before & none_after, 0.0, x0 + (x1 - x0) * share.clamp(0, 1).to(values.dtype))


def hermite_path(
    times: Float[Tensor, "batch row"],
    values: Float[Tensor, "batch row channel"],
    query: Float[Tensor, "batch query"] | None = None,
) -> Float[Tensor, "batch query channel"]:
    """Cubic Hermite spline whose slope at a row is that of the chord before it; rows without a value lie on `linear_path`.

    It differs from that between rows alone.

    Reference: Morrill et al., *On the choice of interpolation scheme for neural CDEs*, TMLR 2022.
    """
    nodes = linear_path(times, values)
    if query is None:
        return nodes
    steps = times.diff(dim=1)[..., None]
    chords = nodes.diff(dim=1) / torch.where(steps > 0, steps, 1.0).to(nodes.dtype)
    slopes = torch.cat([chords[:, :1], chords], 1) if times.shape[1] > 1 else torch.zeros_like(nodes)
    left, width, share = interval(times, query)
    x0, x1 = (at_rows(nodes, (left + k)[..., None].expand(*query.shape, nodes.shape[2])) for k in (0, 1))
    d0, d1 = (at_rows(slopes, (left + k)[..., None].expand(*query.shape, nodes.shape[2])) for k in (0, 1))
    h, u = width[..., None].to(nodes.dtype), share[..., None].to(nodes.dtype)
    rise = x1 - x0
    return x0 + u * (h * d0 + u * ((3 * rise - h * (2 * d0 + d1)) + u * (h * (d0 + d1) - 2 * rise)))


def natural_cubic_path(
    times: Float[Tensor, "batch row"], values: Float[Tensor, "batch row channel"]
) -> Float[Tensor, "batch row channel"]:
    r"""Natural cubic spline through the known values of each channel, at the rows.

    A channel unknown in the first or last row has its nearest known value there, as in the packages that the papers use. The
    second derivatives $M$ at the knots solve $h_{k-1} M_{k-1} + 2 (h_{k-1} + h_k) M_k + h_k M_{k+1} = 6 (s_k - s_{k-1})$, with
    $h$ the widths and $s$ the slopes between knots, by elimination row by row (Thomas' algorithm): all channels at once, each
    passing over the rows that it does not know.
    """
    if (filled := compiled_fill(times, values, natural=True)) is not None:
        return filled
    rows, last = values.transpose(0, 1).contiguous(), values.shape[1] - 1
    y, known = rows.nan_to_num(nan=0.0), ~rows.isnan()
    t = (times - times[:, :1]).t()[..., None].to(values.dtype).expand_as(rows).contiguous()
    first_known, last_known = known.to(torch.uint8).argmax(0), last - known.flip(0).to(torch.uint8).argmax(0)
    first, final = (y.take_along_dim(k[None], 0) for k in (first_known, last_known))
    y = torch.cat([first, y[1:last], final]) if last else y
    known[[0, last]] = True
    # Forward: the knot before each row, and the M of that knot as d - c M of the next one.
    before, height = t[0], y[0]
    width, slope, c, d = (torch.zeros_like(height) for _ in range(4))
    passed = []
    for k in range(1, last + 1):
        h = t[k] - before
        knot = (known[k] & (h > 0)).to(h.dtype)  # weights of 0 and 1: torch's lerp is faster than its where, and exact
        new_slope = (y[k] - height) / torch.where(h > 0, h, 1.0)
        inner = (width > 0) & (h > 0)  # not the first knot, whose M is 0
        pivot = torch.where(inner, 2 * (width + h) - width * c, 1.0)
        new_c, new_d = inner * h / pivot, inner * (6 * (new_slope - slope) - width * d) / pivot
        passed.append((knot, before, height, new_c, new_d))
        news, olds = (new_c, new_d, h, new_slope, t[k], y[k]), (c, d, width, slope, before, height)
        c, d, width, slope, before, height = map(torch.lerp, olds, news, itertools.repeat(knot))
    # Backward: the spline between the knots on either side; beyond the last one (padding) its value.
    after, left, left_height, bend = before, before, height, torch.zeros_like(height)
    left_bend, found = bend, [height] * last
    for k in range(last, 0, -1):
        knot, *left_knot, c, d = passed[k - 1]
        news, olds = (t[k], y[k], left_bend, *left_knot), (after, height, bend, left, left_height)
        after, height, bend, left, left_height = map(torch.lerp, olds, news, itertools.repeat(knot))
        left_bend = torch.lerp(left_bend, d - c * bend, knot)
        h = after - left
        u = ((t[k] - left) / torch.where(h > 0, h, 1.0)).clamp(0, 1)
        v = 1 - u
        found[k - 1] = v * left_height + u * height - h * h * u * v / 6 * ((1 + v) * left_bend + (1 + u) * bend)
    return torch.stack([y[0], *found], 1)


def interval(
    times: Float[Tensor, "batch row"], query: Float[Tensor, "batch query"]
) -> tuple[Int[Tensor, "batch query"], Float[Tensor, "batch query"], Float[Tensor, "batch query"]]:
    """The row that begins the interval of each time, the interval's width, and the share of it that has passed."""
    last = times.shape[1] - 2
    if last < 0:  # one row: the padding is an interval of no width
        zero = torch.zeros_like(query)
        return zero.long(), zero, zero
    left = (torch.searchsorted(times.contiguous(), query.contiguous(), right=True) - 1).clamp(0, last)
    begin, end = times.gather(1, left), times.gather(1, left + 1)
    return left, end - begin, ((query - begin) / torch.where(end > begin, end - begin, 1.0)).clamp(0, 1)


def last_known_row(values: Float[Tensor, "batch row channel"]) -> Int[Tensor, "batch row channel"]:
    """At each row, the row of the last value known there or before; −1 where there is none."""
    row = torch.arange(values.shape[1], device=values.device)[:, None]
    return torch.where(values.isnan(), -1, row).cummax(1).values


def next_known_row(values: Float[Tensor, "batch row channel"]) -> Int[Tensor, "batch row channel"]:
    """At each row, the row of the next value known there or after; the number of rows where there is none."""
    row = torch.arange(values.shape[1], device=values.device)[:, None]
    return torch.where(values.isnan(), values.shape[1], row).flip(1).cummin(1).values.flip(1)


def rows_at(
    table: Int[Tensor, "batch row channel"], row: Int[Tensor, "batch query"], outside: int
) -> Int[Tensor, "batch query channel"]:
    """Entries of `table` in the rows that are asked for, `outside` where there is no such row."""
    n = table.shape[1]
    found = table.take_along_dim(row.clamp(0, n - 1)[..., None], 1)
    return torch.where(((row < 0) | (row >= n))[..., None], outside, found)


def at_rows(
    values: Float[Tensor, "batch row channel"], row: Int[Tensor, "batch query channel"]
) -> Float[Tensor, "batch query channel"]:
    """Values in the row that is asked for of each channel; any where it is −1 or beyond."""
    return values.gather(1, row.clamp(0, values.shape[1] - 1))
