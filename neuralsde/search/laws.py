"""Which values a setting may take, and how a value is drawn and perturbed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from omegaconf import ListConfig

from neuralsde.errors import ConfigError

DIGITS = 4  # of drawn numbers: a config that a person reads


class Law(ABC):
    """A distribution over the values of one setting. It is told to draw, so that all randomness is the caller's generator."""

    @abstractmethod
    def draw(self, rng: Generator) -> Any:
        """A value."""

    @abstractmethod
    def perturb(self, value: Any, factors: Sequence[float | int], rng: Generator) -> Any:
        """A value near `value`, within the law's range.

        Args:
            value: one of this law.
            factors: what numbers are multiplied by, one of them chosen.
            rng: the generator.
        """

    @abstractmethod
    def extremes(self) -> list[Any]:
        """Values of which any impossible one is among: the ends of a range, or all choices."""


class Range(Law):
    """Numbers from `low` to `high`."""

    least = -math.inf
    whole = False

    def __init__(self, bounds: Any, key: str, name: str):
        kinds = int if self.whole else (int, float)
        valid = isinstance(bounds, list | ListConfig) and len(bounds) == 2
        valid = valid and all(isinstance(b, kinds) and not isinstance(b, bool) and math.isfinite(b) for b in bounds)
        if not valid or not self.least < bounds[0] < bounds[1]:
            positive = "" if math.isinf(self.least) else f" above {self.least:g}"
            numbers = f"two {'whole ' * self.whole}numbers{positive}"
            raise ConfigError(f"{key}.{name} is {bounds}; give {numbers}, the lower one first, such as {self.example}.")
        self.low, self.high = bounds

    example = "[0.1, 0.5]"

    def clipped(self, value: float) -> float:
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def perturb(self, value: Any, factors: Sequence[float | int], rng: Generator) -> Any:
        return self.clipped(value * factors[int(rng.integers(len(factors)))])

    def extremes(self) -> list[Any]:
        return [self.low, self.high]


class Uniform(Range):
    """Real numbers, all alike."""

    def draw(self, rng: Generator) -> float:
        return self.clipped(rng.uniform(self.low, self.high))


class LogUniform(Range):
    """Positive numbers whose logarithm is uniform."""

    least = 0.0
    example = "[1e-4, 1e-2]"

    def draw(self, rng: Generator) -> float:
        return self.clipped(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))


class Integer(Range):
    """Whole numbers, both ends among them."""

    whole = True
    example = "[1, 50]"

    def draw(self, rng: Generator) -> int:
        return int(rng.integers(self.low, self.high, endpoint=True))

    def perturb(self, value: Any, factors: Sequence[float | int], rng: Generator) -> int:
        factor = factors[int(rng.integers(len(factors)))]
        moved = round(value * factor)
        if moved == value:  # small numbers would never move
            moved += 1 if factor > 1 else -1
        return min(max(moved, self.low), self.high)


class Choice(Law):
    """One of the values of a list, in an order that means something to `perturb`: it goes to a neighbour."""

    def __init__(self, values: Any, key: str, name: str):
        if not isinstance(values, list | ListConfig) or len(values) < 2:
            raise ConfigError(f"{key}.{name} is {values}; give a list of at least two values, such as [32, 64].")
        self.values = list(values)

    def draw(self, rng: Generator) -> Any:
        return self.values[int(rng.integers(len(self.values)))]

    def perturb(self, value: Any, factors: Sequence[float | int], rng: Generator) -> Any:
        moved = self.values.index(value) + (1 if factors[int(rng.integers(len(factors)))] > 1 else -1)
        return self.values[int(np.clip(moved, 0, len(self.values) - 1))]

    def extremes(self) -> list[Any]:
        return self.values


LAWS: dict[str, type[Range] | type[Choice]] = {"uniform": Uniform, "loguniform": LogUniform, "int": Integer, "choice": Choice}
