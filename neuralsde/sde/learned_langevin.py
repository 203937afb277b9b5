import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.potentials import ConfiningPotential
from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time
from neuralsde.sde.underdamped_langevin import UnderdampedLangevin

STABLE = 1.9  # largest frequency times step; kick-drift splittings explode from 2 on


class LearnedLangevin(AbstractSDE):
    r"""Underdamped Langevin dynamics with friction and mass to learn per mode, at temperature one (`UnderdampedLangevin`).

    The mass is that of an oscillator of frequency $\omega$ in the potential $\frac12 x^2$: $m = \omega^{-2}$, so that a mode
    of a quadratic potential has unit stationary variance whatever its frequency.

    Args:
        state_size: positions and velocities together, an even number.
        potential: makes the potential of so many positions.
        friction: $\gamma$ at the start, per unit time.
        frequency: lowest and highest $\omega / 2\pi$ at the start, cycles per unit time, spread evenly on a log scale.
        step: longest step that the equation will be solved with; frequencies are held where it can follow them,
            $\omega \sqrt\lambda\, h \le 1.9$ with $\lambda$ the potential's largest curvature.

    Raises:
        ConfigError: a size or a rate is impossible, or a frequency is too fast for the step.
    """

    noise = NoiseType.ADDITIVE
    calculus = Calculus.ITO
    in_seconds = True
    units: ClassVar[Mapping[str, str]] = {"friction": "1/s", "frequency_hz": "Hz"}

    def __init__(
        self,
        state_size: int,
        potential: Callable[[int], ConfiningPotential],
        friction: float,
        frequency: Sequence[float],
        step: float,
    ):
        modes, odd = divmod(state_size, 2)
        if odd or modes < 1 or friction <= 0 or len(frequency) != 2 or min(frequency) <= 0:
            raise ConfigError(
                f"model.dynamics got latent_size={state_size}, friction {friction} and frequencies {list(frequency)}; give an "
                "even latent_size (positions and velocities), a positive friction and two positive frequencies."
            )
        form = potential(modes)
        limit = STABLE / (2 * math.pi * step * form.curvature().sqrt().item())
        if max(frequency) > limit:
            raise ConfigError(
                f"model.dynamics frequencies go up to {max(frequency)} Hz, which one step of {step:g} s cannot follow in this "
                f"potential (stable up to {limit:.3g} Hz): lower model.dynamics.sde.frequency "
                "or raise model.dynamics.substeps."
            )
        super().__init__()
        self.potential, self.step = form, step
        self.log_friction = nn.Parameter(torch.full((modes,), math.log(friction)))
        low, high = (math.log(2 * math.pi * f) for f in frequency)
        self.log_frequency = nn.Parameter(torch.linspace(low, high, modes))

    def frequency(self) -> Float[Tensor, " mode"]:
        r"""$\omega$, radians per unit time, where a step can follow it."""
        return torch.minimum(self.log_frequency.exp(), STABLE / (self.step * self.potential.curvature().sqrt()))

    def prepared(self) -> UnderdampedLangevin:
        potential = self.potential.prepared()
        equation = UnderdampedLangevin(potential, gradient=potential.gradient).prepared()
        equation.friction, equation.mass = self.log_friction.exp(), self.frequency() ** -2  # positive by construction
        return equation

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.prepared().drift(t, z)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state noise"]:
        return self.prepared().diffusion(t, z)

    def noise_size(self, state_size: int) -> int:
        return state_size // 2

    def learned(self) -> dict[str, Float[Tensor, " _"]]:
        return {"friction": self.log_friction.exp(), "frequency_hz": self.frequency() / (2 * math.pi)}
