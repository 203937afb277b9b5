from dataclasses import replace
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.curves.base import AbstractCurves, Curve, gathered, interval_of, zero_rows
from neuralsde.nn.local_context import Context, LocalContext, in_bins

# Polynomials on [0, 1], lowest power first: each is one, and the others are zero, in the value, slope (and bend) at its end.
CUBIC = ((1, 0, -3, 2), (0, 1, -2, 1), (0, 0, 3, -2), (0, 0, -1, 1))  # value, slope at 0; value, slope at 1
QUINTIC = (  # value, slope, bend at 0; value, slope, bend at 1
    (1, 0, 0, -10, 15, -6),
    (0, 1, 0, -6, 8, -3),
    (0, 0, 0.5, -1.5, 1.5, -0.5),
    (0, 0, 0, 10, -15, 6),
    (0, 0, 0, -4, 7, -3),
    (0, 0, 0, 0.5, -1, 0.5),
)
# Corrections that an interval feels: of which kind, at which of its ends.
CUBIC_FELT = ((1, 0), (0, 1))  # kinds: left, right
QUINTIC_FELT = ((0, 0), (2, 0), (0, 1), (1, 1))  # kinds: slope, left, right
OTHERS = 0.1  # of the weights at which the rest of the context starts, where values start at what it passes on
NEIGHBOURS = (-1, 0, 1, 2)  # bins that an interval's curve depends on, counted from the one that begins it


class SplineCurves(AbstractCurves):
    """Cubic Hermite splines through values that a linear map takes from each bin's context; quintic ones where second
    derivatives are asked for.

    Slopes are those of the parabola through a bin and its neighbours, plus what the context says, for the left and the right
    of the bin apart: the curve may have a kink at each bin, as the moments of a posterior have at an observation. A quintic
    spline has a continuous slope, and its bend may jump. Corrections start at zero.

    A point depends on four bins alone, so that evaluating some points costs the same in a trial of any length.

    Args:
        context_size: channels of the context.
        channels: curves.
        bends: see `AbstractCurves`.
        knot_bins: bins from one knot to the next, all of which a curve passes over smoothly: more where a bin tells little.

    Raises:
        ConfigError: `knot_bins` is no whole number of at least 1.
    """

    def __init__(self, context_size: int, channels: int, bends: bool = False, knot_bins: int = 1):
        super().__init__(context_size, channels, bends)
        if type(knot_bins) is not int or knot_bins < 1:
            raise ConfigError(f"model.dynamics.curves.knot_bins is {knot_bins}; give a whole number of at least 1.")
        self.knot_bins, self.reach = knot_bins, 2 * knot_bins
        self.value = nn.Linear(context_size, channels)
        self.correction = nn.Linear(context_size, channels * (3 if bends else 2))
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def start_at_zero(self, first: int) -> None:
        zero_rows(self.value, first)

    @torch.no_grad()
    def start_through(self, weight: Float[Tensor, "channel passed"], offset: Float[Tensor, " channel"]) -> None:
        channels, passed = weight.shape
        self.value.weight[:, -passed:] = 0.0
        self.value.weight[:channels] *= OTHERS
        self.value.weight[:channels, -passed:] = weight
        self.value.bias[:channels] = offset

    def forward(
        self,
        context: Context,
        clock: Float[Tensor, "#batch bin"],
        t: Float[Tensor, "#batch point"],
    ) -> Curve:
        last = clock.shape[1] - 1
        knots = torch.arange(0, last + self.knot_bins, self.knot_bins, device=t.device).clamp(max=last)
        begin = interval_of(clock[:, knots] if self.knot_bins > 1 else clock, t)
        index = (begin[..., None] + torch.tensor(NEIGHBOURS, device=t.device)).clamp(0, len(knots) - 1)
        weights = weights_of(gathered(clock, knots[index]), t, self.bends)
        value, slope, *bend = (weights @ self._of_knots(context, knots, index)).unbind(2)
        return Curve(value, slope, bend[0] if bend else torch.zeros_like(slope))

    def at_bins(
        self,
        context: Context,
        clock: Float[Tensor, "#batch bin"],
        bins: Int[Tensor, "batch point"],
    ) -> Float[Tensor, "batch point channel"]:
        if self.knot_bins > 1:
            return super().at_bins(context, clock, bins)
        return self.value(in_bins(context, bins))

    def _of_knots(
        self,
        context: Context,
        knots: Int[Tensor, " knot"],
        index: Int[Tensor, "#batch point window"],
    ) -> Float[Tensor, "batch point part channel"]:
        """What a curve is a combination of (`weights_of`): values at the knots of `index`, and corrections of the two in the
        middle. The linear maps see each knot once, or only those asked for."""
        held = context.steps if isinstance(context, LocalContext) else context
        chunks, felt = (3, QUINTIC_FELT) if self.bends else (2, CUBIC_FELT)
        if index[0].numel() < held.shape[1]:
            near = gathered(context, knots[index])
            kinds = self.correction(near[:, :, 1:3]).chunk(chunks, -1)
            return torch.cat([self.value(near), *(kinds[kind][:, :, [end]] for kind, end in felt)], 2)
        if isinstance(context, LocalContext):
            index = knots[index]
        elif self.knot_bins > 1:
            held = held[:, knots]
        made, *kinds = self.value(held), *self.correction(held).chunk(chunks, -1)
        if isinstance(context, LocalContext):
            made, *kinds = (replace(context, steps=part) for part in (made, *kinds))
        parts = [gathered(made, index), *(gathered(kinds[kind], index[..., [1 + end]]) for kind, end in felt)]
        return torch.cat(parts, 2)


def weights_of(
    times: Float[Tensor, "#batch point 4"], t: Float[Tensor, "#batch point"], bends: bool
) -> Float[Tensor, "batch point derivative part"]:
    """How much a curve at `t`, its slope (and its bend) are of the values at four knots and of each correction: the formulas
    below are linear in these, and are given each alone.

    Args:
        times: of the knots before and after `t`, two each.
        t: between the second and the third.
        bends: whether the spline is quintic.
    """
    parts = torch.eye(8 if bends else 6, dtype=times.dtype, device=times.device)
    value, correction = parts[:4].expand(*times.shape, -1), parts[4:]
    steps, secants = secants_of(times, value)
    h = steps[..., 1:2]
    slopes = tuple(three_point(steps[..., n : n + 2], secants[..., n : n + 2, :]) * h for n in (0, 1))
    if bends:
        # One slope per bin: in units of the mean of the steps around it, which both intervals share.
        own = [part * h / around(steps[..., n - 1 : n + 1]) for n, part in ((1, correction[0]), (2, correction[2]))]
        curved = [bend_of(steps[..., n : n + 2], secants[..., n : n + 2, :]) * h**2 for n in (0, 1)]
        ends = value[:, :, 1], slopes[0] + own[0], curved[0] + correction[1]
        ends += value[:, :, 2], slopes[1] + own[1], curved[1] + correction[3]
    else:
        ends = value[:, :, 1], slopes[0] + correction[0], value[:, :, 2], slopes[1] + correction[1]
    curve = polynomial(torch.stack(ends, -1), (t - times[..., 1]) / h[..., 0], h, bends)
    return torch.stack(curve if bends else curve[:2], 2)


def secants_of(
    times: Float[Tensor, "#batch point 4"], value: Float[Tensor, "batch point 4 channel"]
) -> tuple[Float[Tensor, "#batch point 3"], Float[Tensor, "batch point 3 channel"]]:
    """Steps between neighbouring bins (0 beyond the trial's ends) and the slopes of the chords over them."""
    steps = times.diff(dim=-1)
    return steps, value.diff(dim=2) / steps.clamp(min=torch.finfo(steps.dtype).tiny)[..., None]


def three_point(
    steps: Float[Tensor, "#batch point 2"], secants: Float[Tensor, "batch point 2 channel"]
) -> Float[Tensor, "batch point channel"]:
    """Slope at the middle one of three bins of the parabola through them; that of the chord where one is missing."""
    share = (steps / steps.sum(-1, keepdim=True)).flip(-1)
    share = torch.where(steps > 0, torch.where(steps.flip(-1) > 0, share, 1.0), 0.0)
    return (share[..., None] * secants).sum(2)


def bend_of(
    steps: Float[Tensor, "#batch point 2"], secants: Float[Tensor, "batch point 2 channel"]
) -> Float[Tensor, "batch point channel"]:
    """Second derivative of the same parabola; zero where a bin is missing."""
    whole = (steps > 0).all(-1, keepdim=True)
    return torch.where(whole, 2 * secants.diff(dim=2)[:, :, 0] / steps.sum(-1, keepdim=True), 0.0)


def around(steps: Float[Tensor, "#batch point 2"]) -> Float[Tensor, "#batch point 1"]:
    """Mean of the steps before and after a bin, that one alone where the other is missing."""
    return steps.sum(-1, keepdim=True) / (steps > 0).sum(-1, keepdim=True)


def polynomial(
    ends: Float[Tensor, "batch point channel degree"],
    x: Float[Tensor, "#batch point"],
    h: Float[Tensor, "#batch point 1"],
    bends: bool,
) -> Curve:
    """Hermite polynomials and their derivatives at the share `x` of an interval of length `h`, given what they are at its
    ends."""
    basis = hermite(ends.shape[-1], ends.dtype, ends.device)
    powers = torch.stack([x**k for k in range(len(basis))], -1)
    value, slope = (torch.einsum("bpcd,bpd->bpc", ends, powers @ b) for b in (basis, derived(basis)))
    if not bends:
        return Curve(value, slope / h, torch.zeros_like(slope))
    bend = torch.einsum("bpcd,bpd->bpc", ends, powers @ derived(derived(basis)))
    return Curve(value, slope / h, bend / h**2)


@lru_cache(maxsize=8)
def hermite(size: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "power size"]:
    """Coefficients of the polynomials, a column each."""
    return torch.tensor(CUBIC if size == len(CUBIC) else QUINTIC, dtype=dtype, device=device).t().contiguous()


def derived(basis: Float[Tensor, "power size"]) -> Float[Tensor, "power size"]:
    """Coefficients of the derivatives."""
    powers = torch.arange(len(basis), dtype=basis.dtype, device=basis.device)[:, None]
    return (powers * basis).roll(-1, 0)
