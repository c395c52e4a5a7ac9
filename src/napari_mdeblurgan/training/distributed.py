"""Training on several devices or hosts: one process for each, started by torchrun.

Every process draws its share of each batch and keeps a copy of the network; gradients are averaged,
so that all copies stay equal. Only the first process writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from napari_mdeblurgan.training.config import ConfigError


@dataclass(frozen=True, slots=True)
class ProcessRank:
    """Which of the processes this one is.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    world : int
        Processes in all, on all hosts.
    local_rank : int
        Number of this process on its host: the GPU that it takes.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0


ALONE = ProcessRank()


def place_from_environment() -> ProcessRank:
    """What torchrun says in RANK, WORLD_SIZE and LOCAL_RANK; alone where it did not start this
    process.

    Raises
    ------
    ConfigError
        If the variables contradict each other.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if "WORLD_SIZE" not in os.environ:
        return ALONE
    try:
        rank, world, local_rank = (int(os.environ[name]) for name in names)
    except (KeyError, ValueError):
        raise ConfigError(
            f"{', '.join(names)} must all be set, to whole numbers, where one is; start the "
            "processes with torchrun."
        ) from None
    if not 0 <= rank < world:
        raise ConfigError(
            f"RANK is {rank} and WORLD_SIZE {world}; start the processes with torchrun."
        )
    return ProcessRank(rank, world, local_rank)


@contextmanager
def joined(place: ProcessRank, device: str) -> Iterator[None]:
    """Meet the other processes, over NCCL on GPUs and gloo on processors; leave them at the end."""
    if place.world == 1:
        yield
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def synchronised(module: nn.Module, place: ProcessRank, device: str) -> nn.Module:
    """The module with its gradients averaged over all processes; its `forward` must be what is
    called.
    """
    if place.world == 1:
        return module
    devices = [torch.device(device)] if device.startswith("cuda") else None
    return nn.parallel.DistributedDataParallel(
        module, device_ids=devices, find_unused_parameters=True
    )


def mean_of_processes(values: Tensor, place: ProcessRank) -> Tensor:
    """Mean over all processes; the same in each."""
    if place.world > 1:
        distributed.all_reduce(values)
        values /= place.world
    return values


def any_says(value: bool, place: ProcessRank, device: torch.device) -> bool:
    """Whether it is true in any of the processes; the same in each."""
    if place.world == 1:
        return value
    told = torch.tensor(float(value), dtype=torch.float32, device=device)
    distributed.all_reduce(told)
    return bool(told.item())


def wait_for_all(place: ProcessRank) -> None:
    """Go on only when every process has come here."""
    if place.world > 1:
        distributed.barrier()


def device_of(place: ProcessRank, wish: str) -> str:
    """The device of this process: its own GPU where several processes share a host."""
    from napari_mdeblurgan.restoration.device import pick_device

    if place.world > 1 and wish in ("auto", "cuda") and torch.cuda.is_available():
        wish = f"cuda:{place.local_rank}"
    return pick_device(wish)
