"""What a method tells the loop: its facts and one step."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.noise import AbstractNoise, Increments, LevyArea
from neuralsde.sde import AbstractSDE, Calculus, NoiseType, Time

State = Any  # a tensor, or a tuple of tensors for a method that remembers more than the solution


class AbstractSolver(abc.ABC):
    """One step of a method, and what it converges to.

    Class facts: `calculus` (None where the method is for additive noise only, for which the two agree), `levy_area`
    (what it reads of the path), `strong_order` per noise type (absent: not supported), `requires` (the equations it
    is made for), `pathwise` (whether, where the noise depends on the state, it converges along any driving path: to the
    Stratonovich integral, with the drift's Itô correction that of Brownian motion).
    """

    calculus: ClassVar[Calculus | None]
    strong_order: ClassVar[Mapping[NoiseType, float]]
    levy_area: ClassVar[LevyArea] = LevyArea.NONE
    requires: ClassVar[type[AbstractSDE]] = AbstractSDE
    pathwise: ClassVar[bool] = True

    @abc.abstractmethod
    def step(self, sde: AbstractSDE, t: Time, state: State, path: Increments) -> State:
        """The state at `t + path.dt` from that at `t`, along the Brownian `path` of this step."""

    def init(self, sde: AbstractSDE, t: Time, z: Float[Tensor, "*batch state"]) -> State:
        """The state of the method at the first time; the solution itself unless the method remembers more."""
        return z

    def solution(self, state: State) -> Float[Tensor, "*batch state"]:
        """The solution within the state of the method."""
        return state

    def check(self, sde: AbstractSDE, noise: AbstractNoise | None = None) -> None:
        """Refuse an equation, or what drives it, for which the method is wrong.

        Raises:
            ConfigError: the kind of equation, its noise type or its calculus is not the method's, or the method asks more of
                the driving path than a noise that is not Brownian has.
        """
        mine, its = type(self).__name__, type(sde).__name__
        if not isinstance(sde, self.requires):
            raise ConfigError(f"{mine} solves equations of type {self.requires.__name__}, but {its} is none.")
        if sde.noise not in self.strong_order:
            supported = ", ".join(noise.name for noise in self.strong_order)
            raise ConfigError(f"{mine} supports {supported} noise, but {its} has {sde.noise.name} noise.")
        if sde.noise is not NoiseType.ADDITIVE and sde.calculus is not self.calculus:
            raise ConfigError(
                f"{mine} converges to the {self.calculus.value if self.calculus else 'additive'} solution, but {its} "
                f"is meant in the {sde.calculus.value} sense; wrap it in ItoForm or StratonovichForm."
            )
        if noise is None or noise.is_brownian:
            return
        if self.levy_area is not LevyArea.NONE:
            raise ConfigError(
                f"{mine} reads Lévy areas of the driving path, but {type(noise).__name__} has increments alone; use "
                "EulerMaruyama or BAOAB where the noise is additive, else Milstein, LogEuler or LinearNoiseSplitting."
            )
        if sde.noise is not NoiseType.ADDITIVE and not self.pathwise:
            raise ConfigError(
                f"{mine} takes the Itô integral, which {type(noise).__name__} has no limit of where the noise depends on the "
                f"state, as that of {its} does; use Milstein (model.dynamics.solver._target_=neuralsde.solvers.Milstein)."
            )


class AbstractEmbeddedSolver(AbstractSolver):
    """A method that estimates its own error per step, at no further evaluation of drift or diffusion."""

    @abc.abstractmethod
    def step_with_error(
        self, sde: AbstractSDE, t: Time, state: State, path: Increments
    ) -> tuple[State, Float[Tensor, "*batch state"]]:
        """The next state, and an estimate of the local error of its solution."""

    def step(self, sde: AbstractSDE, t: Time, state: State, path: Increments) -> State:
        return self.step_with_error(sde, t, state, path)[0]


def orders(additive: float, commutative: float | None = None, general: float | None = None) -> dict[NoiseType, float]:
    """Strong orders per noise type; scalar and diagonal noise are the commutative ones."""
    given = {
        NoiseType.ADDITIVE: additive,
        NoiseType.DIAGONAL: commutative,
        NoiseType.SCALAR: commutative,
        NoiseType.GENERAL: general,
    }
    return {noise: order for noise, order in given.items() if order is not None}
