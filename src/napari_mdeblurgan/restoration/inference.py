"""One tile through the network, and what happens when it does not fit."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

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
_COPIES: WeakKeyDictionary[torch.nn.Module, dict[str, torch.nn.Module]] = WeakKeyDictionary()


class DoesNotFit(Exception):
    """The network ran out of memory on a tile."""


def network_on(model: Model, device: str) -> torch.nn.Module:
    """The model's network on a device: a copy that is made once, or itself on the processor.

    Raises
    ------
    OutOfMemory
        If it does not fit there.
    """
    if device == "cpu":
        return model.network
    copies = _COPIES.setdefault(model.network, {})
    if device not in copies:
        try:
            copies[device] = copy.deepcopy(model.network).to(device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(f"The model does not fit into the memory of {device}; close other programs.") from error
    return copies[device]


def restored_tiles(
    read: Callable[[Tile], np.ndarray],
    tiles: list[Tile],
    plan: RestorationPlan,
    window: Window,
    network: torch.nn.Module,
) -> Iterator[tuple[Tile, np.ndarray]]:
    """Restore tiles one by one. When memory runs out those still to come are quartered, and `tiles` is, too.

    Parameters
    ----------
    read : callable
        From a tile to the part of the image that its `source` slices name.
    tiles : list of Tile
        What to restore; changed in place if memory runs out, so that the next image starts with what fits.

    Raises
    ------
    OutOfMemory
        If not even the smallest tile fits.
    """
    todo = tiles[::-1]
    while todo:
        tile = todo.pop()
        try:
            piece = restore_tile(read(tile), tile, plan, window, network)
        except DoesNotFit as error:
            todo, tiles[:] = _smaller(plan, [*todo, tile], error), _smaller(plan, tiles, error)
            continue
        yield tile, piece


def restore_tile(
    block: np.ndarray, tile: Tile, plan: RestorationPlan, window: Window, network: torch.nn.Module
) -> np.ndarray:
    """From `block`, the tile's `source` part of one image, to the tile's part of the result."""
    rows, columns = (span.indices - span.source.start for span in (tile.y, tile.x))
    block = block[rows[:, None], columns[None, :]]
    colours = block[..., :3] if plan.rgb else block[..., None]
    normalised = window.normalise(colours)
    missing = ~np.isfinite(colours) if plan.dtype.kind == "f" else None
    if missing is not None and missing.any():
        planes = [fill(normalised[..., c], missing[..., c]) for c in range(normalised.shape[-1])]
        normalised = np.stack(planes, axis=-1)
    else:
        missing = None
    inside = tuple(slice(s.start * plan.factor, s.stop * plan.factor) for s in (tile.y.inside, tile.x.inside))
    output = _apply(network, normalised, plan)[inside]
    restored = window.invert(output, plan.dtype, plan.limits(window))
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
        if not is_out_of_memory(error):
            raise
        if plan.device.startswith("cuda"):
            torch.cuda.empty_cache()
        raise DoesNotFit(str(error)) from error


def _forward(network: torch.nn.Module, image: Tensor, plan: RestorationPlan) -> Tensor:
    dtype = getattr(torch, plan.precision)
    with torch.autocast(plan.device.split(":")[0], dtype=dtype, enabled=dtype != torch.float32):
        return network(image).float()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return any(
        words in text for words in ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
    )


def _enlarged(plane: np.ndarray, plan: RestorationPlan) -> np.ndarray:
    """Bicubic enlargement of (y, x), same dtype."""
    largest = 1.0 if plan.dtype.kind in "bf" else float(np.iinfo(plan.dtype).max)
    window = Window(0, largest)
    tensor = torch.from_numpy(np.nan_to_num(window.normalise(plane)))[None, None]
    with torch.inference_mode():
        return window.invert(BicubicUpsampling(plan.factor)(tensor)[0, 0].clamp(0, 1).numpy(), plan.dtype)


def _smaller(plan: RestorationPlan, tiles: list[Tile], error: Exception) -> list[Tile]:
    quarters = [quarter for tile in tiles for quarter in plan.grid.quarters(tile)]
    if len(quarters) == len(tiles):
        raise OutOfMemory(
            f"Memory on {plan.device} ran out even for the smallest tile; close other programs or use another device."
        ) from error
    return quarters
