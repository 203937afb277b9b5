"""What the processes of one training run tell each other."""

import os
from collections.abc import Callable
from itertools import chain, zip_longest
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import Tensor

from neuralsde.shares import Share

T = TypeVar("T")
Batch = TypeVar("Batch")


def together() -> bool:
    """Whether this process has been connected with others."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def computed_once(compute: Callable[[list[Batch]], T], batches: list[Batch]) -> T:
    """What the first process computes of all processes' batches, in the order of one process; told to all.

    Args:
        compute: from all batches to a result.
        batches: this process's, of which later ranks may lack the last.
    """
    if not together():
        return compute(batches)
    first = dist.get_rank() == 0
    gathered: list[Any] | None = [None] * dist.get_world_size() if first else None
    dist.gather_object(batches, gathered)
    result: list[Any] = [None]
    if gathered is not None:
        in_turn = chain.from_iterable(zip_longest(*gathered))
        result = [compute([batch for batch in in_turn if batch is not None])]
    dist.broadcast_object_list(result)
    return result[0]


def mean_of(values: Tensor, own: Share | None) -> Tensor:
    """The mean of `values`; for a share of them, a part whose mean over the processes is that of all values."""
    if own is None:
        return values.mean()
    count = own.summed(torch.tensor(values.numel(), device=values.device))
    return values.sum() * own.processes / count


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of all processes' values; the values themselves where there is one process."""
    if together():
        values = values.clone()
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values


def environment() -> ClusterEnvironment | None:
    """What started several processes of this run, such as torchrun or srun; None where nothing did."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if int(os.environ.get("SLURM_NTASKS", 1)) > 1 and SLURMEnvironment.detect():
        return SLURMEnvironment(auto_requeue=False)  # see `neuralsde.training.stop.slurm`
    return None


def agreed(value: T, accelerator: str) -> T:
    """What the first process says, where something started several: such as a folder named by the time.

    Args:
        value: what this process would say.
        accelerator: of the trainer, whose connection this becomes.
    """
    started_by = environment()
    if started_by is None or started_by.world_size() == 1:
        return value
    connect(started_by, accelerator)
    said: list[Any] = [value]
    dist.broadcast_object_list(said)
    return said[0]


def connect(started_by: ClusterEnvironment, accelerator: str) -> None:
    """Connect the processes before Lightning does, which then finds them connected."""
    if not dist.is_initialized():
        os.environ.setdefault("MASTER_ADDR", started_by.main_address)
        os.environ.setdefault("MASTER_PORT", str(started_by.main_port))
        on_cpu = accelerator == "cpu" or not torch.cuda.is_available()
        backend = "gloo" if on_cpu else "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, rank=started_by.global_rank(), world_size=started_by.world_size())


def part() -> None:
    """Undo the connection, so that what follows is one process's affair."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
