import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time


class OrnsteinUhlenbeck(AbstractSDE):
    r"""Ornstein–Uhlenbeck process $dz = \theta (\mu - z)\,dt + \sigma\,dW$, stationary at $N(\mu, \sigma^2 / 2\theta)$.

    Args:
        rate: $\theta$, per unit time; a number, or a parameter per state, as are the others.
        mean: $\mu$, state.
        sigma: $\sigma$, state per square root of time.
    """

    noise = NoiseType.ADDITIVE
    calculus = Calculus.ITO

    def __init__(
        self,
        rate: float | Float[Tensor, " state"],
        mean: float | Float[Tensor, " state"],
        sigma: float | Float[Tensor, " state"],
    ):
        super().__init__()
        self.rate, self.mean, self.sigma = rate, mean, sigma

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.rate * (self.mean - z)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.sigma * z.new_ones(()).expand_as(z)


class LearnedOrnsteinUhlenbeck(AbstractSDE):
    r"""One Ornstein–Uhlenbeck process per state, with a rate, a mean and a noise to learn (see `OrnsteinUhlenbeck`).

    Args:
        state_size: number of processes.
        rates: slowest and fastest $\theta$ at the start, per unit time, spread evenly on a log scale over the states; None for
            $\theta = 0$, the noise alone.
        deviation: stationary standard deviation $\sigma / \sqrt{2\theta}$ at the start (under Brownian motion); that of the
            noise after one unit of time, $\sigma$, where $\theta = 0$. The mean starts at 0.

    Raises:
        ConfigError: a rate or the deviation is not positive.
    """

    noise = NoiseType.ADDITIVE
    calculus = Calculus.ITO
    units: ClassVar[Mapping[str, str]] = {"rate": "1/time", "sigma": "state/√time"}

    def __init__(self, state_size: int, rates: Sequence[float] | None = (0.5, 5.0), deviation: float = 1.0):
        super().__init__()
        if (rates is not None and (len(rates) != 2 or min(rates) <= 0)) or deviation <= 0:
            raise ConfigError(
                f"The equation got rates={rates and list(rates)} and deviation={deviation}; give two positive rates, or null "
                "for none, and a positive deviation."
            )
        self.log_rate, self.mean = None, None
        if rates is not None:
            self.log_rate = nn.Parameter(torch.linspace(math.log(rates[0]), math.log(rates[1]), state_size))
            self.mean = nn.Parameter(torch.zeros(state_size))
        self.log_deviation = nn.Parameter(torch.full((state_size,), math.log(deviation)))

    def prepared(self) -> OrnsteinUhlenbeck:
        if self.log_rate is None or self.mean is None:
            return OrnsteinUhlenbeck(0.0, 0.0, self.sigma())
        return OrnsteinUhlenbeck(self.log_rate.exp(), self.mean, self.sigma())

    def sigma(self) -> Float[Tensor, " state"]:
        r"""$\sigma$, state per square root of time (per time to the Hurst index, where the noise is fractional)."""
        speed = 0.0 if self.log_rate is None else 0.5 * (self.log_rate + math.log(2))
        return (self.log_deviation + speed).exp()

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.prepared().drift(t, z)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.sigma().expand_as(z)

    def learned(self) -> dict[str, Float[Tensor, " _"]]:
        rate = {} if self.log_rate is None else {"rate": self.log_rate.exp()}
        return rate | {"sigma": self.sigma()}
