import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.noise.base import AbstractNoise
from neuralsde.noise.fractional_weights import Fractional, default_rates, geometric_rates, weights
from neuralsde.noise.increments import Increments, LevyArea
from neuralsde.noise.ou_bank import OUBank, Transition, innovation_root, run, stable_root
from neuralsde.noise.outlook import Outlook
from neuralsde.shares import normals

SMALLEST, LARGEST = 0.02, 0.98  # bounds of a learned H


class FractionalBrownian(AbstractNoise, nn.Module):
    r"""Fractional Brownian motion with Hurst index $H$, approximated by Ornstein–Uhlenbeck processes (MA-fBM).

    $\hat B(t) = \sum_k \omega_k (Y_k(t) - Y_k(0))$ with $dY_k = -\gamma_k Y_k\,dt + dW$ and the weights that are nearest to
    fractional Brownian motion in mean square over $[0, T]$. Type I (Mandelbrot–Van Ness) has stationary increments and
    begins from a stationary past, $Y(0) \sim \mathcal N(0, S)$; type II (Riemann–Liouville) begins to remember at time 0,
    $Y(0) = 0$. Both have variance $t^{2H}$, approximately; `relative_error` says how nearly.

    It drives any equation, by increments alone. Noise that multiplies the state is meant pathwise:
    $dz = (f - \frac12 g\,\partial_z g)\,dt + g \circ d\hat B$ for an Itô equation $f, g$, which is the equation itself at
    $H = \frac12$ and keeps a limit for every other $H$ as the approximation gets better. (The Itô integral has none.)

    Args:
        size: number of noises, $D$.
        horizon: $T$, in the equation's unit of time.
        hurst: $H$ in (0, 1), where learning begins; one number, or one per noise.
        learn: whether $H$ is learned, between .02 and .98.
        shared: whether all noises have one $H$.
        kind: `type_i` or `type_ii`.
        processes: $K$, two or more.
        range: slowest and fastest $\gamma$ in units of $1 / T$; None for the measured best of the kind, of a known $H$ where it
            is not learned.
        knots: 1 for an $H$ that is constant; more, with type II, for one that is linear in time between so many knots
            spread evenly over $[0, T]$: $\hat B(t) = \sum_k \omega_k(H(t)) Y_k(t)$.
        speed: how many times faster than other parameters (logit) $H$ learns under Adam.
        normalize: `unit`, `none` or `empirical`; see `fractional_weights.weights`.
        generator: where the normals come from; torch's global generator if None.

    Raises:
        ConfigError: a setting is impossible.

    Reference: Daems, Opper, Crevecoeur, Birdal, *Variational inference for SDEs driven by fractional noise*, 2024,
    arXiv:2310.12975.
    """

    is_brownian = False

    def __init__(
        self,
        size: int,
        horizon: float,
        hurst: float | Sequence[float] = 0.5,
        learn: bool = False,
        shared: bool = False,
        kind: str = "type_i",
        processes: int = 5,
        range: Sequence[float] | None = None,
        knots: int = 1,
        speed: float = 1.0,
        normalize: str = "unit",
        generator: torch.Generator | None = None,
    ):
        nn.Module.__init__(self)
        check_plain(processes, speed, learn, shared)
        self.kind, self.size, self.horizon = kind_of(kind), size, float(horizon)
        self.normalize, self.knots, self.speed, self.generator = normalize, knots, speed, generator
        start = hurst_at_start(hurst, 1 if shared else size, learn)
        check_knots(knots, self.kind)
        fixed = None if learn or len(set(start)) > 1 else start[0]
        if range is None:
            rates = default_rates(self.kind, processes, self.horizon, fixed)
        else:
            rates = geometric_rates(processes, *both_ends(range), horizon=self.horizon)
        self.rates: Tensor
        self.register_buffer("rates", rates, persistent=False)
        value = torch.tensor(start, dtype=torch.float64).expand(knots, -1).clone()
        self.raw: Tensor | None = None
        self.fixed: Tensor
        if learn:
            share = (value - SMALLEST) / (LARGEST - SMALLEST)
            self.raw = nn.Parameter((share.logit() / speed).float())
        else:
            self.register_buffer("fixed", value, persistent=False)
        self.weights()  # refuses what float64 cannot hold

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def unit(self) -> Float[Tensor, " process"]:
        r"""Standard deviation of each process: stationary for type I, at the horizon for type II, square root of time."""
        stationary = 1 / (2 * self.rates)
        if self.kind is Fractional.TYPE_I:
            return stationary.sqrt()
        return (stationary * -torch.expm1(-2 * self.rates * self.horizon)).sqrt()

    def hurst(self) -> Float[Tensor, "knot noise"]:
        """$H$ at each knot, in double precision."""
        value = self.fixed if self.raw is None else self._learned_hurst(self.raw.double())
        return value.expand(-1, self.size)

    def _learned_hurst(self, raw: Tensor) -> Tensor:
        return SMALLEST + (LARGEST - SMALLEST) * torch.sigmoid(self.speed * raw)

    def hurst_at(self, times: Float[Tensor, "*times 1"]) -> Float[Tensor, "*times noise"]:
        """$H$ at any times; that of the nearest knot beyond the horizon."""
        hurst = self.hurst()
        if self.knots == 1:
            return hurst[0].expand(*times.shape[:-1], -1)
        place = (times.double() / self.horizon).clamp(0, 1) * (self.knots - 1)
        before = place.floor().clamp(max=self.knots - 2)
        share, index = place - before, before[..., 0].long()
        return torch.lerp(hurst[index], hurst[index + 1], share)

    def weights(self, times: Float[Tensor, "*times 1"] | None = None) -> Float[Tensor, "*times noise process"]:
        r"""$\omega$ of the processes in their units; at `times`, or where $H$ is constant."""
        hurst = self.hurst()[0] if times is None else self.hurst_at(times)
        return weights(hurst, self.rates, self.horizon, self.kind, self.normalize) * self.unit

    def learned(self) -> dict[str, Float[Tensor, " _"]]:
        if self.raw is None:
            return {}
        names = ["hurst"] if self.knots == 1 else [f"hurst_knot_{n}" for n in range(self.knots)]
        return dict(zip(names, self._learned_hurst(self.raw), strict=True))

    # -- how it moves -------------------------------------------------------------------------------------------------

    def increments(
        self,
        times: Float[Tensor, "points *#batch 1"],
        shape: tuple[int, ...],
        area: LevyArea = LevyArea.NONE,
        dtype: torch.dtype | None = None,
    ) -> Increments:
        """Increments of a new path over the steps between `times`; see the base class."""
        self.check_shape(shape, area)
        path, steps = self.drive(self.bank(times, dtype or times.dtype), times, shape, area, dtype or times.dtype)
        return run(steps, path, self.fresh_memory(shape[:-1], path.w))[0]

    def bank(self, times: Float[Tensor, "points *#batch 1"], dtype: torch.dtype) -> OUBank:
        """What makes the noise from Brownian increments; see the base class. Computed in double precision."""
        dt = times.diff(dim=0).double()
        if torch.allclose(dt, dt.flatten()[0], rtol=1e-4, atol=0.0):
            dt = dt.flatten()[0].view(1, *[1] * (times.ndim - 1))  # one transition for all steps
        before, after = self._weights_along(times)
        root, length = innovation_root(self.rates, self.unit, dt), dt.sqrt()
        new = after @ root  # of the standard normals behind the innovation, in what the noise gains
        spread = new.norm(dim=-1, keepdim=True)
        along = new / spread
        decay = torch.exp(-self.rates * dt).unsqueeze(-2)
        pull = after * torch.expm1(-self.rates * dt).unsqueeze(-2) + (after - before)
        loading = along @ root.mT / length[..., None]
        return OUBank(*(x.to(dtype) for x in (decay, pull, spread[..., 0] / length, loading, along, root)))

    def drive(
        self,
        bank: OUBank | None,
        times: Float[Tensor, "points *#batch 1"],
        shape: tuple[int, ...],
        area: LevyArea,
        dtype: torch.dtype,
    ) -> tuple[Increments, list[Transition]]:
        """The Brownian increments behind a new path, and the steps that make it from them; see the base class."""
        assert bank is not None
        share, rest = bank.part(self._normals((len(times) - 1, *shape), times.to(dtype), axis=1))
        dt = times.diff(dim=0).to(dtype)
        return Increments(dt, dt.sqrt() * share), bank.transitions(rest)

    def check_shape(self, shape: tuple[int, ...], area: LevyArea) -> None:
        """Raises:
        ConfigError: another number of noises is asked for, or Lévy areas are.
        """
        name = type(self).__name__
        if area is not LevyArea.NONE:
            raise ConfigError(f"{name} knows the increments of its path, but {area.name} areas were asked of it.")
        if shape[-1] != self.size:
            raise ConfigError(f"{name} holds {self.size} noises, but {shape[-1]} were asked for; give size={shape[-1]}.")

    def _weights_along(self, times: Float[Tensor, "points *#batch 1"]) -> tuple[Tensor, Tensor]:
        """Weights before and after each step, (step or 1, *#batch or 1, noise, process)."""
        if self.knots == 1:
            constant = self.weights().view(*[1] * (times.ndim - 1), self.size, -1)
            return constant, constant
        every = self.weights(times)
        return every[:-1], every[1:]

    def _normals(self, shape: tuple[int, ...], like: Tensor, axis: int = 0) -> Tensor:
        return normals((*shape, len(self.rates)), like, axis, self.generator)

    # -- what it remembers --------------------------------------------------------------------------------------------

    @property
    def memory_shape(self) -> tuple[int, int]:
        """$(D, K)$."""
        return self.size, len(self.rates)

    @property
    def has_past(self) -> bool:
        """Whether the memory begins from a stationary past; otherwise it begins empty."""
        return self.kind is Fractional.TYPE_I

    def past(self, whitened: Float[Tensor, "*batch noise process"]) -> Float[Tensor, "*batch noise process"]:
        return whitened @ self.past_root(whitened.dtype).mT

    def past_root(self, dtype: torch.dtype) -> Float[Tensor, "process process"]:
        r"""$R$ with $R R^\top$ the covariance of a stationary past."""
        together = self.rates[:, None] + self.rates
        return stable_root(1 / together / (self.unit[:, None] * self.unit)).to(dtype)

    def fresh_memory(self, batch: tuple[int, ...], like: Tensor) -> Float[Tensor, "*batch noise process"]:
        """The memory at the first time, drawn from the prior, of the dtype and on the device of `like`."""
        shape = (*batch, self.size)
        if not self.has_past:
            return like.new_zeros(*shape, len(self.rates))
        return self.past(self._normals(shape, like))

    def outlook(self, times: Float[Tensor, "points *#batch 1"], bank: OUBank | None, every: int) -> Outlook:
        """What a control may know in each bin of `every` steps."""
        assert bank is not None
        return Outlook(self.hurst_at(times[:-1:every]), self._weights_along(times)[1][::every], self.rates, bank.gain[::every])

    def spawn(self, steps: Sequence[int]) -> list[AbstractNoise]:
        """Refused: a stretch begins with what the one before it has left.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"{type(self).__name__} remembers, so that its path cannot be redrawn in stretches; draw it first, "
            "FixedPath(noise.increments(…)), and pass that."
        )


def kind_of(kind: str) -> Fractional:
    """Raises:
    ConfigError: there is no such kind.
    """
    if kind not in (known := [k.value for k in Fractional]):
        raise ConfigError(f"model.noise.kind is {kind!r}; choose {' or '.join(known)}.")
    return Fractional(kind)


def hurst_at_start(hurst: Any, count: int, learn: bool) -> list[float]:
    """One $H$ per noise.

    Raises:
        ConfigError: a number is not strictly between 0 and 1, or not within the bounds of a learned one, or there are too many.
    """
    values = list(hurst) if isinstance(hurst, Sequence) else [hurst] * count
    low, high = (SMALLEST, LARGEST) if learn else (0.0, 1.0)
    if len(values) != count or not all(isinstance(h, int | float) and low < h < high for h in values):
        several = f", or a list of {count}" if count > 1 else ""
        raise ConfigError(
            f"model.noise.hurst is {hurst}; give one number{several} between {low:g} and {high:g}, without these."
        )
    return [float(h) for h in values]


def check_plain(processes: Any, speed: Any, learn: Any, shared: Any) -> None:
    """Raises:
    ConfigError: a setting is of another type, or out of bounds.
    """
    if type(processes) is not int or processes < 2:
        raise ConfigError(f"model.noise.processes is {processes}; give a whole number of at least 2.")
    if type(speed) not in (int, float) or not 0 < speed < math.inf:
        raise ConfigError(f"model.noise.speed is {speed}; give a positive number, such as 10.0.")
    for name, value in (("learn", learn), ("shared", shared)):
        if type(value) is not bool:
            raise ConfigError(f"model.noise.{name} is {value}; give true or false.")


def check_knots(knots: Any, kind: Fractional) -> None:
    """Raises:
    ConfigError: the number is impossible, or the process is not defined for an $H$ that moves.
    """
    if type(knots) is not int or knots < 1:
        raise ConfigError(f"model.noise.knots is {knots}; give a whole number of at least 1.")
    if knots > 1 and kind is Fractional.TYPE_I:
        raise ConfigError(
            f"model.noise.knots is {knots}, but an H that changes in time is defined for type II alone: set "
            "model.noise.kind=type_ii or model.noise.knots=1."
        )


def both_ends(range: Any) -> tuple[float, float]:
    """Raises:
    ConfigError: there are not two rates.
    """
    if not isinstance(range, Sequence) or len(range) != 2:
        raise ConfigError(f"model.noise.range is {range}; give the slowest and the fastest rate, such as [0.01, 1000].")
    return range[0], range[1]
