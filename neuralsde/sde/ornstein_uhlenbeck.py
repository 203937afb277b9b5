import math
from collections.abc import Sequence

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
        rates: slowest and fastest $\theta$ at the start, per unit time, spread evenly on a log scale over the states.
        deviation: stationary standard deviation $\sigma / \sqrt{2\theta}$ at the start; the mean starts at 0.

    Raises:
        ConfigError: a rate or the deviation is not positive.
    """

    noise = NoiseType.ADDITIVE
    calculus = Calculus.ITO

    def __init__(self, state_size: int, rates: Sequence[float] = (0.5, 5.0), deviation: float = 1.0):
        super().__init__()
        if len(rates) != 2 or min(rates) <= 0 or deviation <= 0:
            raise ConfigError(
                f"The equation got rates={list(rates)} and deviation={deviation}; give two positive rates and one."
            )
        self.log_rate = nn.Parameter(torch.linspace(math.log(rates[0]), math.log(rates[1]), state_size))
        self.log_deviation = nn.Parameter(torch.full((state_size,), math.log(deviation)))
        self.mean = nn.Parameter(torch.zeros(state_size))

    def prepared(self) -> OrnsteinUhlenbeck:
        return OrnsteinUhlenbeck(self.log_rate.exp(), self.mean, self.sigma())

    def sigma(self) -> Float[Tensor, " state"]:
        r"""$\sigma$, state per square root of time."""
        return (self.log_deviation + 0.5 * (self.log_rate + math.log(2))).exp()

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.log_rate.exp() * (self.mean - z)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.sigma().expand_as(z)
