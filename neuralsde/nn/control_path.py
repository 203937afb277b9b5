"""Paths through irregular observations: what a model may read between, or at, the times at which something was seen.

Series are padded: times repeat the last one, values are NaN. A channel of which nothing is known is 0. `carried_forward`
and `rectilinear` look back only; the others use what comes later, and belong into models that may see the whole series.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


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


def rectilinear(
    times: Float[Tensor, "batch row"], values: Float[Tensor, "batch row channel"]
) -> Float[Tensor, "batch corner channels"]:
    """Corners of the path on which first time moves and then the values, (batch, 2 row − 1, 1 + channel), time first.

    A path that only looks back: between two rows nothing of the later one is known.

    Reference: Morrill et al., *On the choice of interpolation scheme for neural CDEs*, TMLR 2022, section 3.
    """
    carried = torch.cat([times[..., None].to(values.dtype), carried_forward(times, values).value], -1)
    twice = carried.repeat_interleave(2, 1)
    return torch.cat([twice[:, 1:, :1], twice[:, :-1, 1:]], -1)


def linear_path(
    times: Float[Tensor, "batch row"],
    values: Float[Tensor, "batch row channel"],
    query: Float[Tensor, "batch query"] | None = None,
) -> Float[Tensor, "batch query channel"]:
    """Linearly between known values of each channel, the first and the last held beyond them."""
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

    Reference: Morrill et al., *On the choice of interpolation scheme for neural CDEs*, TMLR 2022.
    """
    query = times if query is None else query
    nodes = linear_path(times, values)
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
    times: Float[Tensor, "batch row"],
    values: Float[Tensor, "batch row channel"],
    query: Float[Tensor, "batch query"] | None = None,
) -> Float[Tensor, "batch query channel"]:
    """Natural cubic spline through the known values of each channel.

    A channel unknown in the first or last row has its nearest known value there, as in the packages that the papers use.
    """
    query = times if query is None else query
    n_channels, rows = values.shape[2], values.shape[1]
    ends = torch.zeros(rows, dtype=torch.bool, device=values.device)
    ends[0], ends[-1] = True, True
    nodes = torch.where(ends[:, None] & values.isnan(), linear_path(times, values), values)
    # Each channel of each series has knots of its own: one row of a batch, knots first.
    flat = nodes.transpose(1, 2).reshape(-1, rows)
    clock = times.repeat_interleave(n_channels, 0).to(values.dtype)
    order = torch.argsort(flat.isnan().to(torch.uint8), dim=1, stable=True)
    knots, heights = clock.gather(1, order), flat.gather(1, order)
    last = (~flat.isnan()).sum(1, keepdim=True) - 1
    beyond = torch.arange(rows, device=values.device) > last
    knots = torch.where(beyond, knots.gather(1, last), knots)
    heights = torch.where(beyond, heights.gather(1, last), heights)
    found = evaluate_natural(knots, heights, query.repeat_interleave(n_channels, 0).to(values.dtype))
    return found.reshape(len(values), n_channels, -1).transpose(1, 2)


def evaluate_natural(
    knots: Float[Tensor, "curve knot"], heights: Float[Tensor, "curve knot"], query: Float[Tensor, "curve query"]
) -> Float[Tensor, "curve query"]:
    """Natural cubic splines at the times of `query`, the ends held beyond them; repeated knots at the end are padding."""
    bends = natural_bends(knots, heights)
    left, h, u = interval(knots, query)
    y0, y1, m0, m1 = (x.gather(1, left + k) for x in (heights, bends) for k in (0, 1))
    v = 1 - u
    return v * y0 + u * y1 + h**2 / 6 * ((v**3 - v) * m0 + (u**3 - u) * m1)


def natural_bends(knots: Float[Tensor, "curve knot"], heights: Float[Tensor, "curve knot"]) -> Float[Tensor, "curve knot"]:
    """Second derivatives at the knots, 0 at both ends, by eliminating along the knots (Thomas' algorithm)."""
    h = knots.diff(dim=1)
    real = h > 0
    chord = heights.diff(dim=1) / torch.where(real, h, 1.0)
    inner = real[:, :-1] & real[:, 1:]
    diagonal = torch.where(inner, 2 * (h[:, :-1] + h[:, 1:]), 1.0)
    upper = torch.where(inner, h[:, 1:], 0.0)
    lower = torch.where(inner, h[:, :-1], 0.0)
    right = torch.where(inner, 6 * chord.diff(dim=1), 0.0)
    ratio, value = [torch.zeros_like(knots[:, 0])], [torch.zeros_like(knots[:, 0])]
    for k in range(diagonal.shape[1]):
        pivot = diagonal[:, k] - lower[:, k] * ratio[-1]
        value.append((right[:, k] - lower[:, k] * value[-1]) / pivot)
        ratio.append(upper[:, k] / pivot)
    bends = [torch.zeros_like(knots[:, 0])]
    for c, d in zip(reversed(ratio[1:]), reversed(value[1:]), strict=True):
        bends.append(d - c * bends[-1])
    if knots.shape[1] > 1:
        bends.append(torch.zeros_like(knots[:, 0]))
    return torch.stack(bends[::-1], 1)


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
