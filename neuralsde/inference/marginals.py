r"""Posteriors that are given by their marginals, and the drifts that follow from them.

A Gaussian marginal with mean $m(t)$ and standard deviation $s(t)$ at every time, and a diffusion $g$ that is the prior's, leave
one drift: with $y = m + s \varepsilon$,

$$\tilde f(y) = m' + s' \varepsilon - \tfrac12 g^2 \frac{\varepsilon}{s} + \tfrac12 \frac{\partial g^2}{\partial y},$$

so that the divergence of the path from the prior's grows at the rate $\frac12 |\tilde f - f|^2 / g^2$, and no path needs to be
simulated to learn from it at any time.

Where the noise acts on a velocity alone (underdamped Langevin), position and velocity have to agree, $v = x'$: with a second,
independent $\eta$,

$$x = m + s \varepsilon, \qquad v = m' + s' \varepsilon + r \eta,$$

$$\tilde f_v = m'' + \Bigl(s'' - \frac{r^2}{s}\Bigr) \varepsilon + \Bigl(r' + \frac{s'}{s} r - \frac{g^2}{2 r}\Bigr) \eta,$$

which gives back $S_{xv} = \frac12 S_{xx}'$ and keeps $S_{vv} = s'^2 + r^2$ (by the Lyapunov equation of $(x, v)$).

Over a step of finite length $h$ the path goes from one marginal to the next, $\varepsilon \gets \rho\,\varepsilon +
\sqrt{1 - \rho^2}\,\xi$: an increment of mean $u h$ and standard deviation $S \sqrt h$ takes it there. With a prior drift of
slope $J$ the divergence of a step is least for $\rho / (1 - \rho^2) = (1 + J h) s_n s_{n+1} / (g^2 h)$, which tends to the
path above as $h \to 0$; it is stable at any step.

Source: Bartosh, Vetrov, Naesseth, *SDE matching*, 2025, arXiv:2502.02472; Course & Nair, *Amortized reparametrization*, 2023,
arXiv:2312.10550 (additive noise); underdamped and finite steps: derived.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from neuralsde.inference.control import Features
from neuralsde.inference.scale import DiagonalScale, Scale, TriangularScale
from neuralsde.nn.curves import AbstractCurves
from neuralsde.nn.local_context import Context
from neuralsde.sde import AbstractSDE, NoiseType

Clock = Float[Tensor, "#batch bin"]
Times = Float[Tensor, "#batch point"]


class Steps(NamedTuple):
    """What takes a path from one marginal to the next.

    Args:
        features: what `steer` needs of each step, each (batch, point, ·).
        scale: what the marginals' own `scale` is made from, (batch, point, noise, …).
    """

    features: Features
    scale: Tensor


class AbstractMarginals(nn.Module, ABC):
    """Gaussian marginals of a path in its equation's unconstrained coordinates.

    What it hands on as moments is for its own methods to read; their axes are (batch, point, ·). A class says what `scale` its
    steps' increments have.
    """

    scale: type[DiagonalScale] | type[TriangularScale]

    @abstractmethod
    def moments(self, sde: AbstractSDE, context: Context, clock: Clock, t: Times) -> Any:
        """The marginals at the times `t`, given the context of bins at the times `clock`."""

    def moments_in(
        self,
        sde: AbstractSDE,
        context: Context,
        clock: Clock,
        bins: Int[Tensor, "batch point"],
    ) -> Any:
        """The marginals in some bins, as far as `draw` and `start` need them."""
        return self.moments(sde, context, clock, clock.expand(len(bins), -1).gather(1, bins))

    def start_through(self, weight: Float[Tensor, "state passed"], offset: Float[Tensor, " state"]) -> None:
        """Let the mean begin near `offset + weight @ passed` (`AbstractCurves.start_through`), where it is a free curve."""

    @abstractmethod
    def draw(
        self, sde: AbstractSDE, moments: Any, standard: Float[Tensor, "batch point state"]
    ) -> Float[Tensor, "batch point state"]:
        """Coordinates of a state, from standard normals."""

    @abstractmethod
    def control(
        self, sde: AbstractSDE, t: Times, moments: Any, standard: Float[Tensor, "batch point state"]
    ) -> Float[Tensor, "batch point noise"]:
        """The drift of the Brownian motion at the state that `draw` makes of `standard`, per square root of time."""

    @abstractmethod
    def start(self, sde: AbstractSDE, moments: Any) -> tuple[Float[Tensor, "batch state"], Scale]:
        """Mean and scale at the first point."""

    @abstractmethod
    def steps(self, sde: AbstractSDE, t: Times, dt: Times, here: Any, there: Any) -> Steps:
        """From the marginals at `t` to those at `t + dt`."""

    @abstractmethod
    def steer(self, sde: AbstractSDE, y: Float[Tensor, "*batch state"], *features: Float[Tensor, "..."]) -> Tensor:
        """The control that is constant over a step, in a state with coordinates `y`, (*batch, noise)."""


@dataclass(frozen=True)
class Gaussian:
    """Independent components."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True)
class MovingGaussian(Gaussian):
    """The same with derivatives in time."""

    mean_slope: Tensor
    log_std_slope: Tensor


class DiagonalMarginals(AbstractMarginals):
    r"""Independent components, $y_i = m_i(t) + s_i(t) \varepsilon_i$, of an equation with one Brownian motion per state.

    Args:
        curves: makes the curves of $m$ and $\ln s$ from `context_size` and `channels`.
        context_size: channels of the context.
        state_size: components.
        initial_log_var: offset of $\ln s^2$.
    """

    scale = DiagonalScale

    def __init__(self, curves: Callable[..., AbstractCurves], context_size: int, state_size: int, initial_log_var: float):
        super().__init__()
        self.curves = curves(context_size=context_size, channels=2 * state_size)
        self.log_std = initial_log_var / 2

    def start_through(self, weight: Float[Tensor, "state passed"], offset: Float[Tensor, " state"]) -> None:
        self.curves.start_through(weight, offset)

    def moments(self, sde: AbstractSDE, context: Context, clock: Clock, t: Times) -> MovingGaussian:
        value, slope, _ = self.curves(context, clock, t)
        mean, log_std = value.chunk(2, -1)
        mean_slope, log_std_slope = slope.chunk(2, -1)
        return MovingGaussian(mean, torch.exp(log_std + self.log_std), mean_slope, log_std_slope)

    def moments_in(
        self,
        sde: AbstractSDE,
        context: Context,
        clock: Clock,
        bins: Int[Tensor, "batch point"],
    ) -> Gaussian:
        mean, log_std = self.curves.at_bins(context, clock, bins).chunk(2, -1)
        return Gaussian(mean, torch.exp(log_std + self.log_std))

    def draw(
        self, sde: AbstractSDE, moments: Gaussian, standard: Float[Tensor, "batch point state"]
    ) -> Float[Tensor, "batch point state"]:
        return torch.addcmul(moments.mean, moments.std, standard)

    def control(
        self, sde: AbstractSDE, t: Times, moments: MovingGaussian, standard: Float[Tensor, "batch point state"]
    ) -> Float[Tensor, "batch point noise"]:
        drift, g, g_slope = sde.in_coordinates(t[..., None], self.draw(sde, moments, standard))
        flow = moments.mean_slope + moments.std * moments.log_std_slope * standard
        return (flow - drift) / g + g_slope - g * standard / (2 * moments.std)

    def start(self, sde: AbstractSDE, moments: Gaussian) -> tuple[Float[Tensor, "batch state"], DiagonalScale]:
        return moments.mean[:, 0], DiagonalScale(moments.std[:, 0].log()[None])

    def steps(self, sde: AbstractSDE, t: Times, dt: Times, here: MovingGaussian, there: MovingGaussian) -> Steps:
        dt = dt[..., None]
        g = sde.in_coordinates(t[..., None], here.mean)[1]  # at the mean: what differs from it is for `steer` to make up for
        spread, slope = g.square() * dt, jacobian(sde, t, here.mean).diagonal(dim1=-2, dim2=-1)
        kappa = here.std * there.std / spread * (1 + slope * dt)
        lost = 2 / (1 + torch.sqrt(1 + 4 * kappa.square()))  # 1 - rho^2, without the difference of two numbers near one
        share = kappa * lost
        log_scale = (there.std.square() * lost / spread).log() / 2
        return Steps((t[..., None], dt, here.mean, there.mean, there.std / here.std * share, here.std, g), log_scale)

    def steer(self, sde: AbstractSDE, y: Float[Tensor, "*batch state"], *features: Float[Tensor, "..."]) -> Tensor:
        t, dt, mean, target, keep, std, typical = features
        drift, g, g_slope = sde.in_coordinates(t, y)
        away = y - mean
        move = target - y + keep * away
        if sde.noise is NoiseType.DIAGONAL:
            move = move + dt * (g * g_slope - (g.square() - typical.square()) * away / (2 * std.square()))
        return (move / dt - drift) / g


def jacobian(sde: AbstractSDE, t: Times, y: Float[Tensor, "batch point state"]) -> Float[Tensor, "batch point state state"]:
    """Of the drift in unconstrained coordinates: the derivatives of each component (a row) by each coordinate (a column)."""

    def drift(y: Tensor) -> Tensor:
        return sde.in_coordinates(t[..., None], y)[0]

    units = torch.eye(y.shape[-1], dtype=y.dtype, device=y.device)[:, None, None].repeat(1, *y.shape[:-1], 1)
    return torch.func.jvp(drift, (y.repeat(len(units), 1, 1, 1),), (units,))[1].movedim(0, -1)
