"""Gradients of a batch that several processes divide, in processes of their own."""

import copy
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from neuralsde.datamodules.batches import DividedTrials, TrialBatch
from neuralsde.shares import Share, set_share
from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.training.module import LatentDynamics
from tests.helpers.tiny import light_config, light_data

Gradients = dict[str, Tensor | None]
Cases = dict[str, tuple[tuple[str, ...], list[int]]]


class Step(nn.Module):
    """A training step as a forward pass, which is what DDP wraps."""

    def __init__(self, module: LatentDynamics):
        super().__init__()
        self.module = module

    def forward(self, batch: TrialBatch) -> Tensor:
        self.module.on_train_batch_start(batch, 0)
        return self.module.training_step(batch, 0)


def untrained(words: tuple[str, ...]) -> LatentDynamics:
    """A small model with all its dropouts on, at its start."""
    config, data = copy.deepcopy(light_config(*words)), light_data(*words)
    fill_in_sizes(config, data.spec)
    torch.manual_seed(0)
    module = build_module(config, data.spec)
    module.log_dict = lambda *_, **__: None
    return module.train()


def gradients_of(step: nn.Module, module: LatentDynamics, batch: TrialBatch) -> Gradients:
    """Of each weight that learns."""
    with mock.patch.object(LatentDynamics, "global_step", 3):
        step(batch).backward()
    set_share(None)
    return {name: p.grad for name, p in module.model.named_parameters()}


def alone(words: tuple[str, ...], trials: list[int]) -> Gradients:
    """In one process with the whole batch."""
    module = untrained(words)
    return gradients_of(Step(module), module, light_data(*words).train_set.__getitems__(trials))


def divided(words: tuple[str, ...], trials: list[int]) -> Gradients:
    """In this one of several connected processes, averaged over them by DDP."""
    module = untrained(words)
    step = DistributedDataParallel(Step(module), static_graph=True)
    batches = DividedTrials(light_data(*words).train_set, dist.get_rank(), dist.get_world_size())
    return gradients_of(step, module, batches.__getitems__(trials))


def without_exchange(share: Share, counts: Tensor) -> Tensor:
    """Counts of one process alone, by which each would take the mean over its own entries."""
    return counts


def work(rank: int, cases: Cases, folder: Path) -> dict[str, Gradients]:
    """Connect two processes and compute every case; the first one also without the exchange of counts."""
    dist.init_process_group("gloo", init_method=(folder / "address").absolute().as_uri(), rank=rank, world_size=2)
    try:
        found = {name: divided(*case) for name, case in cases.items()}
        with mock.patch.object(Share, "summed", without_exchange):
            found["without exchange"] = divided(*next(iter(cases.values())))
        return found
    finally:
        set_share(None)
        dist.destroy_process_group()


def other_process(cases: Cases, folder: Path) -> None:
    """What the second of two processes does."""
    work(1, cases, folder)


def in_two_processes(cases: Cases, folder: Path) -> dict[str, Gradients]:
    """The gradients of every case, which this process and another divide."""
    other = torch.multiprocessing.get_context("spawn").Process(target=other_process, args=(cases, folder), daemon=True)
    other.start()
    try:
        return work(0, cases, folder)
    finally:
        other.join(20)
        other.kill()
