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
SHARE = 0.5  # of the memory that is free
MAPS = {"cpu": 6.0, "mps": 14.0, "cuda": 14.0}  # of full size and the network's width that exist at a time, measured
RESULTS = 3  # made, waiting and being written
EDGES = (2048, 1536, 1024, 768, 512, 384, 256, 192, 128)
QUICK, STEADY = {"cpu": 1024, "mps": 1024, "cuda": 2048}, {"cpu": 1536, "mps": 1536, "cuda": 2048}


def fitting_tile(card: ModelCard, device: str, precision: str, *, quick: bool = True) -> int:
    """The edge of the largest tiles that the memory at hand is enough for.

    Parameters
    ----------
    card : ModelCard
        Of the model.
    device, precision : str
        As in the plan.
    quick : bool
        Tiles that take a second or so, for somebody who watches and may cancel; else larger ones, whose halo costs less.
    """
    kind = device.split(":")[0]
    memory = _free(device) * SHARE
    if kind == "cpu":
        memory = min(memory, WORKING_BYTES)
    bytes_per_value = 4 if precision == "float32" else 2
    results = RESULTS * card.channels * card.scale**2 * 4
    pixel = MAPS[kind] * card.architecture["width"] * bytes_per_value + results
    largest = (QUICK if quick else STEADY)[kind]
    return next(
        (edge for edge in EDGES if edge <= largest and pixel * (edge + 2 * card.halo) ** 2 <= memory), SMALLEST_TILE
    )


def halo_overhead(card: ModelCard, tile: int, device: str, precision: str) -> float:
    """How much more arithmetic a tile takes than its own pixels are worth: 0.1 for a tenth.

    Counted, not estimated: the network runs on a tile without numbers in it, with all that it does on the halo.
    """
    from napari_mdeblurgan.restoration.inference import block_edge

    return _overhead(json.dumps(card.architecture), tile, block_edge(device, precision))


@functools.lru_cache(maxsize=64)
def _overhead(architecture: str, tile: int, edge: int | None) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from napari_mdeblurgan.network import build_generator

    with torch.device("meta"):
        network = build_generator(json.loads(architecture))

    def operations(halo: int, edge: int | None) -> int:
        size, span = tile + 2 * halo, (halo, halo + tile)
        image = torch.empty((1, network.channels, size, size), device="meta")
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network.stages.run(image, (span, span), edge)
        return int(counter.get_total_flops())

    return operations(network.halo, edge) / operations(0, None) - 1


def _free(device: str) -> int:
    """Bytes of memory that nobody uses."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
