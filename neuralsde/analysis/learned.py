"""Learned parameters that have a name in the field, in seconds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuralsde.inference.path import LatentProcess

IN_SECONDS = {"1/time": ("1/s", 1.0), "state/√time": ("latent/√s", 0.5)}
"""Units that the equation's clock is part of: what they become, and the power of its units per second."""


@dataclass(frozen=True)
class Learned:
    """A learned parameter.

    Args:
        values: one or more, (n,).
        unit: of each; empty for a pure number.
    """

    values: np.ndarray
    unit: str

    @property
    def summary(self) -> dict[str, Any]:
        return {"values": self.values.tolist(), "unit": self.unit}


def learned_parameters(process: LatentProcess) -> dict[str, Learned]:
    """What a process has learned, by name; rates and noises on the clock of the recording."""
    units, found = process.units(), {}
    for name, value in process.learned().items():
        unit, power = IN_SECONDS.get(units.get(name, ""), (units.get(name, ""), 0.0))
        found[name] = Learned(value.detach().double().cpu().numpy() * process.per_second**power, unit)
    return found
