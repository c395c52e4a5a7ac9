"""One tile through the network, and what happens when it does not fit."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from napari_mdeblurgan.errors import OutOfMemory
from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.restoration.intensity import Window, fill
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

_ONE_AT_A_TIME = threading.Lock()


class DoesNotFit(Exception):
    """The network ran out of memory on a tile."""


def network_on(model: Model, plan: RestorationPlan) -> torch.nn.Module:
    network: torch.nn.Module = model.network
    return network.to(plan.device).eval()


def restore_tile(
    block: np.ndarray, tile: Tile, plan: RestorationPlan, window: Window, network: torch.nn.Module
) -> np.ndarray:
    """From `block`, the tile's `source` part of one image, to the tile's part of the result."""
    rows, columns = (span.indices - span.source.start for span in (tile.y, tile.x))
    block = block[rows[:, None], columns[None, :]]
    colours = block[..., :3] if plan.rgb else block[..., None]
    normalised = window.normalise(colours)
    missing = ~np.isfinite(normalised) if plan.dtype.kind == "f" else None
    if missing is not None and missing.any():
        planes = [fill(normalised[..., c], missing[..., c]) for c in range(normalised.shape[-1])]
        normalised = np.stack(planes, axis=-1)
    else:
        missing = None
    inside = tuple(slice(s.start * plan.factor, s.stop * plan.factor) for s in (tile.y.inside, tile.x.inside))
    output = _apply(network, normalised, plan)[inside]
    restored = window.invert(output, plan.dtype)
    if missing is not None:
        core = missing[tile.y.inside, tile.x.inside]
        restored[core.repeat(plan.factor, axis=0).repeat(plan.factor, axis=1)] = np.nan
    if not plan.rgb:
        return restored[..., 0]
    if plan.colours == (4,):
        alpha = _enlarged(block[..., 3], plan)[inside]
        restored = np.concatenate([restored, alpha[..., None]], axis=-1)
    return restored


def _apply(network: torch.nn.Module, normalised: np.ndarray, plan: RestorationPlan) -> np.ndarray:
    """Through the network: (y, x, channels) float32 in and out."""
    image = torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1)))[None]
    try:
        with _ONE_AT_A_TIME, torch.inference_mode():
            image = image.to(plan.device).contiguous(memory_format=torch.channels_last)
            output = _forward(network, image, plan)
            if not bool(torch.isfinite(output).all()):
                output = _forward(network, image, replace(plan, precision="float32"))
            return output[0].movedim(0, -1).cpu().numpy()
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        if plan.device.startswith("cuda"):
            torch.cuda.empty_cache()
        raise DoesNotFit(str(error)) from error


def _forward(network: torch.nn.Module, image: Tensor, plan: RestorationPlan) -> Tensor:
    dtype = getattr(torch, plan.precision)
    with torch.autocast(plan.device.split(":")[0], dtype=dtype, enabled=dtype != torch.float32):
        return network(image).float()


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text


def _enlarged(plane: np.ndarray, plan: RestorationPlan) -> np.ndarray:
    """Bicubic enlargement of (y, x), same dtype."""
    largest = 1.0 if plan.dtype.kind in "bf" else float(np.iinfo(plan.dtype).max)
    window = Window(0, largest)
    tensor = torch.from_numpy(np.nan_to_num(window.normalise(plane)))[None, None]
    with torch.inference_mode():
        return window.invert(BicubicUpsampling(plan.factor)(tensor)[0, 0].clamp(0, 1).numpy(), plan.dtype)


def smaller_tiles(plan: RestorationPlan, tiles: list[Tile], error: Exception) -> list[Tile]:
    quarters = [quarter for tile in tiles for quarter in plan.grid.quarters(tile)[::-1]]
    if len(quarters) == len(tiles):
        raise OutOfMemory(
            f"Memory on {plan.device} ran out even for the smallest tile; close other programs or use another device."
        ) from error
    return quarters
