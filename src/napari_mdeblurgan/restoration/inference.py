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
            if not _is_out_of_memory(error):
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
    block = mirrored(block, tile)
    normalised, missing = network_input(block, plan, window)
    output = apply_network(network, normalised, plan)[result_inside(tile, plan.factor)]
    return as_image(output, block, missing, tile, plan, window)


def as_image(
    output: np.ndarray,
    block: np.ndarray,
    missing: np.ndarray | None,
    tile: Tile,
    plan: RestorationPlan,
    window: Window,
) -> np.ndarray:
    """From a tile's part of what the network gave back to its part of the result: type, gaps, alpha."""
    restored = window.invert(output, plan.dtype, plan.limits(window))
    if missing is not None:
        core = missing[tile.y.inside, tile.x.inside]
        restored[core.repeat(plan.factor, axis=0).repeat(plan.factor, axis=1)] = np.nan
    if not plan.rgb:
        return restored[..., 0]
    if plan.colours == (4,):
        alpha = _enlarged(block[..., 3], plan)[result_inside(tile, plan.factor)]
        restored = np.concatenate([restored, alpha[..., None]], axis=-1)
    return restored


def mirrored(block: np.ndarray, tile: Tile) -> np.ndarray:
    """What the network is given: the tile's `source` part with the image's mirror image beyond its edges."""
    rows, columns = (span.indices - span.source.start for span in (tile.y, tile.x))
    return block[rows[:, None], columns[None, :]]


def network_input(block: np.ndarray, plan: RestorationPlan, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
    """(y, x, channels) float32 in windows with gaps filled, and where values were missing, of the same shape or None."""
    colours = block[..., :3] if plan.rgb else block[..., None]
    normalised = window.normalise(colours)
    missing = ~np.isfinite(colours) if plan.dtype.kind == "f" else None
    if missing is None or not missing.any():
        return normalised, None
    planes = [fill(normalised[..., c], missing[..., c]) for c in range(normalised.shape[-1])]
    return np.stack(planes, axis=-1), missing


def result_inside(tile: Tile, factor: int) -> tuple[slice, slice]:
    """Where the tile's part of the result lies within what the network gives back."""
    y, x = (slice(s.start * factor, s.stop * factor) for s in (tile.y.inside, tile.x.inside))
    return y, x


def apply_network(network: torch.nn.Module, normalised: np.ndarray, plan: RestorationPlan) -> np.ndarray:
    """Through the network: (y, x, channels) float32 in and out.

    Raises
    ------
    DoesNotFit
        If memory runs out.
    """
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
