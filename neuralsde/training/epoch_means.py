"""Means over an epoch, which a run that is stopped in the midst of one takes along."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from neuralsde.training.processes import mean_over_processes


class EpochMeans:
    """Weighted means of named scalars; nothing leaves the device before they are taken."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.weights: dict[str, int] = {}

    @torch.no_grad()
    def add(self, values: Mapping[str, Tensor], weight: int) -> None:
        """Count scalars in.

        Args:
            values: by name.
            weight: what they count, such as the trials that they are means of.
        """
        for name, value in values.items():
            share = value.detach().float() * weight
            self.sums[name] = self.sums[name] + share if name in self.sums else share
            self.weights[name] = self.weights.get(name, 0) + weight

    def take(self) -> dict[str, Tensor]:
        """The means, by name; the next epoch's begin anew."""
        means = {name: total / self.weights[name] for name, total in self.sums.items()}
        self.sums, self.weights = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """The sums, of several processes their mean: each of them goes on from it."""
        return {"sums": {name: mean_over_processes(total) for name, total in self.sums.items()}, "weights": dict(self.weights)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from a state, on `device`."""
        self.sums = {name: total.to(device) for name, total in state["sums"].items()}
        self.weights = dict(state["weights"])
