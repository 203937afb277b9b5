import copy
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time


class UnderdampedLangevin(AbstractSDE):
    r"""A particle in a potential, with friction and heat; the state is $z = (x, v)$, position first.

    $$dx = v\,dt, \qquad dv = -\gamma v\,dt - \tfrac1m \nabla F(x)\,dt + \sqrt{2 \gamma T / m}\,dW.$$

    The stationary density is proportional to $\exp(-(F(x) + m |v|^2 / 2) / T)$. The noise acts on $v$ only.

    Args:
        potential: $F$, maps positions `(*batch, d)` to `(*batch)`; differentiated unless `gradient` is given.
        friction: $\gamma$, per unit time: a number or one per position.
        mass: $m$, likewise.
        temperature: $T$, in units of the potential.
        gradient: $\nabla F$ in closed form, maps `(*batch, d)` to `(*batch, d)`.

    Raises:
        ConfigError: friction or mass is not positive, or their number is neither one nor that of the positions.
    """

    noise = NoiseType.ADDITIVE
    calculus = Calculus.ITO

    def __init__(
        self,
        potential: Callable[[Tensor], Tensor],
        friction: float | Float[Tensor, " d"] = 1.0,
        mass: float | Float[Tensor, " d"] = 1.0,
        temperature: float = 1.0,
        gradient: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__()
        self.potential, self.gradient, self.temperature = potential, gradient, temperature
        self.friction: Tensor
        self.mass: Tensor
        self._keep("friction", friction)
        self._keep("mass", mass)
        self._kept: dict[str, tuple[Tensor, Any]] | None = None  # what one solve computes once; None: nothing is kept

    def force_field(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        r"""$\nabla F(x) / m$: the acceleration that pulls against the gradient, with positive sign."""
        gradient = self.gradient or torch.func.grad(lambda y: self.potential(y).sum())
        return gradient(x) / self.mass

    def noise_scale(self) -> Tensor:
        r"""$\rho = \sqrt{2 \gamma T / m}$, velocity per square root of time."""
        return (2 * self.friction * self.temperature / self.mass).sqrt()

    def control(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch d"] | None:
        r"""A drift $w$ of the Brownian motion, which enters $dv$ as $\rho\,w\,dt$; none unless a subclass says so."""
        return None

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        x, v = self.halves(z)
        dv = -self.friction * v - self.force_field(x)
        w = self.control(t, z)
        return torch.cat([v, dv if w is None else dv + self.noise_scale() * w], -1)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state noise"]:
        d = z.shape[-1] // 2
        lower = torch.diag_embed(self.noise_scale().to(z).expand(d))
        return torch.cat([torch.zeros_like(lower), lower]).expand(*z.shape, d)

    def noise_size(self, state_size: int) -> int:
        return state_size // 2

    def coordinates(self, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        r"""Positions, and velocities in units of their stationary deviation $\sqrt{T / m}$."""
        return z / self._units(z)

    def from_coordinates(self, y: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return y * self._units(y)

    def _units(self, z: Float[Tensor, "*batch state"]) -> Float[Tensor, " state"]:
        """The unit of each component of the state."""

        def compute() -> Tensor:
            speed = self.thermal_speed().to(z).expand(self.halves(z)[0].shape[-1])
            return torch.cat([torch.ones_like(speed), speed])

        return self._once("units", self.mass, compute)

    def thermostat(self, dt: Float[Tensor, "*#batch #d"], dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        r"""Factors of an exact Ornstein–Uhlenbeck step of the velocity: of itself, $c = e^{-\gamma h}$, of the increment,
        $\sqrt{T (1 - c^2) / (m h)}$, and of a control, $(1 - c) \rho / \gamma$."""

        def compute() -> tuple[Tensor, Tensor, Tensor]:
            friction, mass = self.friction.to(dtype), self.mass.to(dtype)
            alpha = friction * dt
            spread = (self.temperature / mass * -torch.expm1(-2 * alpha) / dt).sqrt()
            push = -torch.expm1(-alpha) / friction * self.noise_scale().to(dtype) if self.is_controlled else alpha
            return (-alpha).exp(), spread, push

        return self._once("thermostat", dt, compute)

    def _once(self, name: str, argument: Tensor, compute: Callable[[], Any]) -> Any:
        """The result of `compute`: that of the last time, if this is a `prepared` equation and the argument the same."""
        if self._kept is None:
            return compute()
        if name not in self._kept or self._kept[name][0] is not argument:
            self._kept[name] = argument, compute()
        return self._kept[name][1]

    def prepared(self) -> "UnderdampedLangevin":
        prepared = copy.copy(self)
        prepared._kept = {}
        return prepared

    @property
    def is_controlled(self) -> bool:
        """Whether a subclass has given the equation a control."""
        return type(self).control is not UnderdampedLangevin.control

    def thermal_speed(self) -> Tensor:
        r"""$\sqrt{T / m}$, the stationary standard deviation of the velocity."""
        return (self.temperature / self.mass).sqrt()

    def halves(self, z: Float[Tensor, "*batch state"]) -> tuple[Float[Tensor, "*batch d"], Float[Tensor, "*batch d"]]:
        """Position and velocity of a state, after a check of the sizes."""
        d, odd = divmod(z.shape[-1], 2)
        if odd:
            raise ConfigError(f"A Langevin state holds position and velocity, but its size is {z.shape[-1]}, an odd one.")
        for name, value in (("friction", self.friction), ("mass", self.mass)):
            if value.numel() not in (1, d):
                raise ConfigError(f"There are {value.numel()} values of {name}, but {d} positions; give 1 or {d}.")
        return z[..., :d], z[..., d:]

    def _keep(self, name: str, value: float | Tensor) -> None:
        """Register a positive `value`: as it is if it is a parameter to learn, else as a buffer."""
        # A number is kept in double precision: as a tensor without axes it takes on the precision of the state.
        tensor = value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        if not (tensor > 0).all():
            raise ConfigError(f"The {name} of a Langevin equation must be positive, but it is {tensor.tolist()}.")
        if isinstance(tensor, nn.Parameter):
            self.register_parameter(name, tensor)
        else:
            self.register_buffer(name, tensor)
