"""How large a tile may be, and what its halo costs."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

import psutil

from napari_mdeblurgan.restoration.tiling import SMALLEST_TILE

if TYPE_CHECKING:
    from napari_mdeblurgan.model_card import ModelCard

WORKING_BYTES = 1280 * 2**20  # of a processor's memory, for the maps of a network
_SHARE = 0.5  # of the memory that is free
_MAPS = {
    "cpu": 5.0,
    "mps": 14.0,
    "cuda": 14.0,
}  # of full size and the network's width that exist at a time, measured
# up to which no map comes to the 2^32 bytes at which Metal ends the process: the largest, of a
# model that enlarges fourfold, has 16 features for one of the network's width
_LARGEST_ON_METAL = 2**32 * _MAPS["mps"] / 16
RESULTS = 3  # made, waiting and being written
_EDGES = (2048, 1536, 1024, 768, 512, 384, 256, 192, 128)
LARGEST_BATCH = 8
QUICK, STEADY = {"cpu": 1024, "mps": 1024, "cuda": 2048}, {"cpu": 1536, "mps": 1536, "cuda": 2048}
_BLOCK_EDGE = 384  # of what the processor works on at a time
_SIDE_BY_SIDE = 640  # edge of tiles up to which those of several take less time than its blocks


def block_edge(device: str, precision: str) -> int | None:
    """Edge of the blocks in which a tile goes through the network; None for all of it at once."""
    return _BLOCK_EDGE if device == "cpu" and precision in ("float32", "bfloat16") else None


def fitting_tile(
    card: ModelCard,
    device: str,
    precision: str,
    *,
    quick: bool = True,
    memory_mb: int | None = None,
) -> int:
    """The edge of the largest tiles that the memory at hand is enough for.

    Parameters
    ----------
    card : ModelCard
        Of the model.
    device, precision : str
        As in the plan.
    quick : bool
        Tiles that take a second or so, for somebody who watches and may cancel; else larger ones,
        whose halo costs less.
    memory_mb : int, optional
        MiB that a tile may take, where that is less than what is at hand.
    """
    largest = (QUICK if quick else STEADY)[device.split(":")[0]]
    memory = _memory(device) if memory_mb is None else min(_memory(device), memory_mb * 2**20)
    return next(
        (
            edge
            for edge in _EDGES
            if edge <= largest and _needed(card, edge, device, precision) <= memory
        ),
        SMALLEST_TILE,
    )


def tiles_at_a_time(tile: int, device: str, precision: str) -> int:
    """How many tiles of an edge go through the network at a time on a processor, in threads of
    their own; large ones by themselves, with a thread for each of their blocks.
    """
    from napari_mdeblurgan.network.block_threads import blocks_at_a_time

    apart = block_edge(device, precision) is not None and tile <= _SIDE_BY_SIDE
    return blocks_at_a_time() if apart else 1


def fitting_batch(card: ModelCard, tile: int, device: str, precision: str) -> int:
    """How many tiles of an edge go through the network at a time: on a GPU up to eight, on a
    processor see `tiles_at_a_time`.
    """
    if device == "cpu":
        return tiles_at_a_time(tile, device, precision)
    return max(
        1, min(LARGEST_BATCH, int(_memory(device) // _needed(card, tile, device, precision)))
    )


def _needed(card: ModelCard, tile: int, device: str, precision: str) -> float:
    """Bytes for the maps of a tile and for its result."""
    maps = (
        _MAPS[device.split(":")[0]]
        * card.architecture["width"]
        * (4 if precision == "float32" else 2)
    )
    return (maps + RESULTS * card.channels * card.scale**2 * 4) * (tile + 2 * card.halo) ** 2


def _memory(device: str) -> float:
    """Bytes that may be used on a device."""
    if device.startswith("cuda"):
        import torch

        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + kept) * _SHARE
    free = float(psutil.virtual_memory().available) * _SHARE
    return min(free, WORKING_BYTES if device == "cpu" else _LARGEST_ON_METAL)


def halo_overhead(card: ModelCard, tile: int, device: str, precision: str) -> float:
    """How much more arithmetic a tile takes than its own pixels are worth: 0.1 for a tenth.

    Counted, not estimated: the network runs on a tile without numbers in it, with all that it does
    on the halo.
    """
    from napari_mdeblurgan.network.block_threads import blocks_at_a_time

    edge = block_edge(device, precision)
    count = 1 if edge is None else blocks_at_a_time()
    return _overhead(json.dumps(card.architecture), tile, edge, count)


@functools.lru_cache(maxsize=64)
def _overhead(architecture: str, tile: int, edge: int | None, count: int) -> float:
    from napari_mdeblurgan.network.shape import apart

    return apart(_counted, architecture, tile, edge, count)


def _counted(architecture: str, tile: int, edge: int | None, count: int) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from napari_mdeblurgan.network.block_threads import OneByOne
    from napari_mdeblurgan.network.shape import outline

    network = outline(json.loads(architecture))

    def operations(halo: int, edge: int | None) -> int:
        size, span = tile + 2 * halo, (halo, halo + tile)
        image = torch.empty((1, network.channels, size, size), dtype=torch.float32, device="meta")
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network.stages.run(image, (span, span), edge, OneByOne(count))
        return int(counter.get_total_flops())

    return operations(network.halo, edge) / operations(0, None) - 1
