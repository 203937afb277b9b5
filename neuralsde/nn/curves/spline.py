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
        value, correction = self._of_knots(context, knots, index)
        times = gathered(clock, knots[index])
        steps, secants = secants_of(times, value)
        h = steps[..., 1:2]
        slopes = tuple(three_point(steps[..., n : n + 2], secants[..., n : n + 2, :]) for n in (0, 1))
        if self.bends:
            ends = self._quintic_ends(value, slopes, secants, steps, correction)
        else:
            left, right = correction.chunk(2, -1)  # of a bin: the slope before it, and after it
            ends = value[:, :, 1], slopes[0] * h + right[:, :, 1], value[:, :, 2], slopes[1] * h + left[:, :, 2]
        return polynomial(torch.stack(ends, -1), (t - times[..., 1]) / h[..., 0], h, self.bends)

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
    ) -> tuple[Float[Tensor, "batch point window channel"], Float[Tensor, "batch point window _"]]:
        """Values and corrections at the knots of `index`; the linear maps see each knot once, or only those asked for."""
        if isinstance(context, LocalContext) or index[0].numel() < context.shape[1]:
            context = gathered(context, knots[index])
            return self.value(context), self.correction(context)
        if self.knot_bins > 1:
            context = context[:, knots]
        return gathered(self.value(context), index), gathered(self.correction(context), index)

    def _quintic_ends(
        self, value: Tensor, slopes: tuple[Tensor, ...], secants: Tensor, steps: Tensor, correction: Tensor
    ) -> tuple[Tensor, ...]:
        """Value, slope and bend at both ends of an interval, per length of the interval."""
        slope, left, right = correction.chunk(3, -1)
        h = steps[..., 1:2]
        # One slope per bin: in units of the mean of the steps around it, which both intervals share.
        own = [slope[:, :, n] * h / around(steps[..., n - 1 : n + 1]) for n in (1, 2)]
        bends = [bend_of(steps[..., n : n + 2], secants[..., n : n + 2, :]) * h**2 for n in (0, 1)]
        begin = value[:, :, 1], slopes[0] * h + own[0], bends[0] + right[:, :, 1]
        return *begin, value[:, :, 2], slopes[1] * h + own[1], bends[1] + left[:, :, 2]


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
