"""What the methods for underdamped Langevin dynamics share."""

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.noise import AbstractNoise, Increments
from neuralsde.sde import AbstractSDE, Time, UnderdampedLangevin
from neuralsde.solvers.base import AbstractSolver
from neuralsde.solvers.langevin_coefficients import LangevinCoefficients

Triple = tuple[Float[Tensor, "*batch d"], Float[Tensor, "*batch d"], Float[Tensor, "*batch d"]]


class AbstractLangevinSolver(AbstractSolver):
    """A method whose state is (position, velocity, force field at the position): the force is never taken twice."""

    calculus = None
    requires = UnderdampedLangevin

    def init(self, sde: UnderdampedLangevin, t: Time, z: Float[Tensor, "*batch state"]) -> Triple:
        x, v = sde.halves(z)
        return x, v, sde.force_field(x)

    def solution(self, state: Triple) -> Float[Tensor, "*batch state"]:
        return torch.cat(state[:2], -1)


class AbstractUncontrolledLangevinSolver(AbstractLangevinSolver):
    """A Langevin method of high order, which integrates the noise exactly and has no place for a control of it."""

    def check(self, sde: AbstractSDE, noise: AbstractNoise | None = None) -> None:
        super().check(sde, noise)
        if isinstance(sde, UnderdampedLangevin) and sde.is_controlled:
            raise ConfigError(f"{type(self).__name__} ignores a control, but {type(sde).__name__} has one; use BAOAB or OBABO.")

    @staticmethod
    def coefficients(sde: UnderdampedLangevin, path: Increments) -> LangevinCoefficients:
        return LangevinCoefficients(sde.friction.to(path.w), path.dt)
