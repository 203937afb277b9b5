"""Generated series of `small_tables`: three channels at irregular times, to forecast and fill in, or of several classes."""

from collections.abc import Callable

import numpy as np

CENTRE, WIDTH = np.array([60000.0, 37.0, 0.02]), np.array([3000.0, 0.6, 0.005])
LEVEL, NOISE = 8 / 3, 0.1
RETURN_TIMES, STATE_NOISE = np.array([1.0, 3.0, 10.0]), 0.2
MIXING = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.3, 0.0, 1.0]])
FREQUENCIES = 0.6, 1.0
EVENT = 3.0


def waves_at(times: np.ndarray, phase: np.ndarray | float) -> np.ndarray:
    """Two parts of a wave and their product, (…, row, channel)."""
    a, b = np.sin(0.5 * times + phase), np.cos(0.5 * times + phase)
    return np.stack([a, b, a * b], -1)


def waves(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """These of a phase of each series' own, around a level of its own, with noise, (row, channel)."""
    phase, level = rng.uniform(0, 2 * np.pi), LEVEL * rng.normal()
    return waves_at(times, phase) + np.array([level, 0.0, 0.0]) + NOISE * rng.normal(size=(len(times), 3))


def returning(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three Ornstein-Uhlenbeck processes of times 1, 3 and 10, mixed and observed with noise, (row, channel)."""
    states = rng.normal(size=(len(times), 3))
    for n in range(1, len(times)):
        kept = np.exp(-(times[n] - times[n - 1]) / RETURN_TIMES)
        states[n] = kept * states[n - 1] + np.sqrt(1 - kept**2) * states[n]
    mixed = states @ MIXING
    return mixed + STATE_NOISE * rng.normal(size=mixed.shape)


def frequency(times: np.ndarray, kind: int, rng: np.random.Generator) -> np.ndarray:
    """Waves of one of two frequencies, of any phase and height, around any level, (row, channel)."""
    phase, level, height = rng.uniform(0, 2 * np.pi, 3), rng.normal(size=3), rng.uniform(0.7, 1.3, 3)
    wave = np.sin(FREQUENCIES[kind] * times[:, None] + phase)
    return level + height * wave + 0.3 * rng.normal(size=(len(times), 3))


def trend(times: np.ndarray, kind: int, rng: np.random.Generator) -> np.ndarray:
    """A line up or down with noise, or noise alone that is as wide as the two together, around any level, (row, channel)."""
    level, width, sign = rng.normal(size=3), rng.uniform(0.5, 1.0, 3), rng.choice([-1, 1], 3)
    line, noise = ((times - times.mean()) / times.std())[:, None], rng.normal(size=(len(times), 3))
    return level + width * (noise if kind else 0.6 * sign * line + 0.8 * noise)


def shape(times: np.ndarray, kind: int, rng: np.random.Generator) -> np.ndarray:
    """A bump, a jump that fades, or a rise that breaks off, at any time and of any height, around any level, (row, channel)."""
    level, height = rng.normal(size=3), rng.uniform(1, 2, 3) * np.array([1, -1, 1])
    t = (times - rng.uniform(times[0] + EVENT, times[-1] - EVENT)) / EVENT
    fading = np.exp(-np.abs(t) / 1.5)
    event = [np.exp(-(t**2) / 2), np.where(t >= 0, fading, 0.0), np.where(t <= 0, fading, 0.0)][kind]
    return level + height * event[:, None] + 0.25 * rng.normal(size=(len(times), 3))


TABLES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {"waves": waves, "returning": returning}
CLASSES: dict[str, tuple[Callable[[np.ndarray, int, np.random.Generator], np.ndarray], int]] = {
    "frequency": (frequency, 2),
    "trend": (trend, 2),
    "shape": (shape, 3),
}
"""Generators of series of classes, and how many classes."""
