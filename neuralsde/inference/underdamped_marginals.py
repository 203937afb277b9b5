from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.inference.marginals import AbstractMarginals, Clock, Steps, Times
from neuralsde.inference.scale import DiagonalScale, TriangularScale
from neuralsde.nn.curves import AbstractCurves, Curve
from neuralsde.nn.local_context import Context
from neuralsde.sde import UnderdampedLangevin


class UnderdampedMarginal(NamedTuple):
    """Moments of positions and velocities, and their derivatives in time.

    Args:
        mean: of the position.
        std: of the position.
        rest: deviation of the velocity given the position.
        rest_slope: its derivative.
    """

    mean: Curve
    std: Curve
    rest: Tensor
    rest_slope: Tensor


class UnderdampedMarginals(AbstractMarginals):
    r"""Independent modes of an underdamped Langevin equation, $x = m + s \varepsilon$, $v = m' + s' \varepsilon + r \eta$; see
    `neuralsde.inference.marginals`.

    Args:
        curves: makes the curves of $m$ and $\ln s$, and those of $\ln r$, from `context_size`, `channels` and `bends`.
        context_size: channels of the context.
        state_size: positions and velocities together.
        initial_log_var: offset of $\ln s^2$, and of $\ln r^2$ in units of the stationary velocity's.
    """

    scale = DiagonalScale

    def __init__(self, curves: Callable[..., AbstractCurves], context_size: int, state_size: int, initial_log_var: float):
        super().__init__()
        modes = state_size // 2
        self.position = curves(context_size=context_size, channels=2 * modes, bends=True)
        self.velocity = curves(context_size=context_size, channels=modes)
        self.log_std = initial_log_var / 2

    def moments(self, sde: UnderdampedLangevin, context: Context, clock: Clock, t: Times) -> UnderdampedMarginal:
        halves = zip(*(part.chunk(2, -1) for part in self.position(context, clock, t)), strict=True)
        mean, log_std = (Curve(*parts) for parts in halves)
        std = torch.exp(log_std.value + self.log_std)
        std = Curve(std, std * log_std.slope, std * (log_std.bend + log_std.slope.square()))
        log_rest = self.velocity(context, clock, t)
        rest = sde.thermal_speed() * torch.exp(log_rest.value + self.log_std)
        return UnderdampedMarginal(mean, std, rest, rest * log_rest.slope)

    def draw(
        self,
        sde: UnderdampedLangevin,
        moments: UnderdampedMarginal,
        standard: Float[Tensor, "batch point state"],
    ) -> Float[Tensor, "batch point state"]:
        (mean, std, rest, _), (place, other) = moments, standard.chunk(2, -1)
        velocity = mean.slope + std.slope * place + rest * other
        return sde.coordinates(torch.cat([mean.value + std.value * place, velocity], -1))

    def control(
        self,
        sde: UnderdampedLangevin,
        t: Times,
        moments: UnderdampedMarginal,
        standard: Float[Tensor, "batch point state"],
    ) -> Float[Tensor, "batch point noise"]:
        place, other = standard.chunk(2, -1)
        g, (spring, drag) = sde.noise_scale(), gains(moments)
        wanted = moments.mean.bend + spring * place + (drag - g.square() / (2 * moments.rest)) * other
        z = sde.from_coordinates(self.draw(sde, moments, standard))
        return (wanted - sde.drift(t[..., None], z).chunk(2, -1)[1]) / g

    def start(
        self, sde: UnderdampedLangevin, moments: UnderdampedMarginal
    ) -> tuple[Float[Tensor, "batch state"], TriangularScale]:
        mean, std, rest, unit = moments.mean, moments.std, moments.rest, sde.thermal_speed()
        centre = torch.cat([mean.value[:, 0], mean.slope[:, 0] / unit], -1)
        position, both, velocity = (torch.diag_embed(part[:, 0]) for part in (std.value, std.slope / unit, rest / unit))
        root = torch.cat([torch.cat([position, torch.zeros_like(both)], -1), torch.cat([both, velocity], -1)], -2)
        return centre, TriangularScale(root[None])

    def steps(
        self, sde: UnderdampedLangevin, t: Times, dt: Times, here: UnderdampedMarginal, there: UnderdampedMarginal
    ) -> Steps:
        dt = dt[..., None]
        pull = sde.noise_scale().square() * dt / here.rest.square()  # twice what the velocity forgets in a step
        mean, std, rest, _ = here
        kept = rest * torch.expm1(-pull / 2)
        features = t[..., None], dt, *mean, std.value, std.slope, rest, *gains(here), kept
        return Steps(features, (-torch.expm1(-pull) / pull).log() / 2)

    def steer(
        self, sde: UnderdampedLangevin, y: Float[Tensor, "*batch state"], *features: Float[Tensor, "..."]
    ) -> Float[Tensor, "*batch noise"]:
        t, dt, mean, speed, bend, std, widening, rest, spring, drag, kept = features
        z = sde.from_coordinates(y)
        x, v = z.chunk(2, -1)
        place = (x - mean) / std
        other = (v - speed - widening * place) / rest
        kick = bend + spring * place + (drag + kept / dt) * other
        return (kick - sde.drift(t, z).chunk(2, -1)[1]) / sde.noise_scale()


def gains(moments: UnderdampedMarginal) -> tuple[Tensor, Tensor]:
    r"""$s'' - r^2 / s$ of the position's $\varepsilon$, and $r' + s' r / s$ of the velocity's $\eta$: the posterior's
    acceleration but for its mean and what the noise takes away."""
    _, std, rest, rest_slope = moments
    return std.bend - rest.square() / std.value, rest_slope + std.slope * rest / std.value
