"""Batches that can be gone on with in the midst of an epoch."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from neuralsde.errors import CheckpointError


class EpochSampler(Sampler[int]):
    """A permutation that is a function of (seed, epoch) alone, so that a resumed run sees the batches it would have seen."""

    def __init__(self, n: int, seed: int):
        self.n, self.seed, self.epoch = n, seed, 0
        self.skip = 0  # trials of the next epoch to leave out, since they have been learned from

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        skip, self.skip = self.skip, 0
        return iter(self.order()[skip:])

    def order(self) -> list[int]:
        """The whole epoch."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return torch.randperm(self.n, generator=generator).tolist()


class EpochNumbers(EpochSampler):
    """The numbers of `FreshTrials`, in each epoch those that follow the last one's."""

    def order(self) -> list[int]:
        return list(range(self.epoch * self.n, (self.epoch + 1) * self.n))


class TrialLoader(DataLoader):
    """Batches in the order of an `EpochSampler`; Lightning keeps in each checkpoint how many of an epoch are done."""

    first, done = 0, 0  # batch that the next epoch begins with; batches of the present one that have been handed out

    def __iter__(self) -> Iterator[Any]:
        self.done, self.first = self.first, 0
        self.sampler.skip = self.done * (self.batch_size or 1)  # pyright: ignore[reportAttributeAccessIssue]
        for batch in super().__iter__():
            self.done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"done": self.done % len(self), "batches": len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next epoch after the batches that are done.

        Raises:
            CheckpointError: they were of another size.
        """
        if state["done"] and state["batches"] != len(self):
            raise CheckpointError(
                f"The run was stopped in an epoch of {state['batches']} batches, which now has {len(self)}: repeat "
                "data.batch_size."
            )
        self.first = state["done"]
