"""Tiles through the network: made ready for it, run, and made pixels of the result."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from napari_mdeblurgan.errors import ModelError, OutOfMemory
from napari_mdeblurgan.network.averaging import averaging_network
from napari_mdeblurgan.network.block_threads import block_threads
from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.network.exact import exact_float32
from napari_mdeblurgan.network.layout import layout_on
from napari_mdeblurgan.network.softening import softening_network
from napari_mdeblurgan.restoration.colourless import (
    FOR_COLOURS,
    FOR_GREY,
    check_colourless,
    without_colour,
)
from napari_mdeblurgan.restoration.fitting import on_result
from napari_mdeblurgan.restoration.intensity import HotPixels, Window, fill, hot_pixels
from napari_mdeblurgan.restoration.lanes import turn
from napari_mdeblurgan.restoration.memory import when_released
from napari_mdeblurgan.restoration.out_of_memory import is_out_of_memory
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tile_size import block_edge
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.restoration.walk import DoesNotFit
from napari_mdeblurgan.stopping import portion

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.network import Network
    from napari_mdeblurgan.network.stages import Stages

STRIP_ROWS = 128
_NO_NUMBERS = (
    "The model makes values of this image that are no numbers; choose another model or, instead of "
    "a GPU, the CPU."
)

_COPIES: WeakKeyDictionary[Network, dict[str, Network]] = WeakKeyDictionary()


def network_on(model: Model, device: str) -> Network:
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
            network = copy.deepcopy(model.network)
            convert_conv2d_weight_memory_format(network, layout_on(device))
            copies[device] = network.to(device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"The model does not fit into the memory of {device}; close other programs."
            ) from error
    return copies[device]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a tile reads, made ready for the network.

    Attributes
    ----------
    tile : Tile
        Which one.
    values : ndarray, (y, x, channels) float32
        The image beyond its edges mirrored, in windows of intensity, with what is missing filled
        in.
    missing : ndarray, (y, x, channels) bool, or None
        Which of the values that the tile restores are missing, if any.
    alpha : ndarray, (y, x), or None
        Of an image that has it.
    hot : HotPixels or None
        What the network is not shown, with the image's own values.
    """

    tile: Tile
    values: np.ndarray
    missing: np.ndarray | None
    alpha: np.ndarray | None
    hot: HotPixels | None = None


def prepare(block: np.ndarray, tile: Tile, plan: RestorationPlan, window: Window) -> Prepared:
    """Make `block`, the tile's `source` part of one image, ready for the network."""
    for axis, span in enumerate((tile.y, tile.x)):
        if span.indices[0] != span.read_start or span.indices[-1] != span.read_stop - 1:
            block = block.take(span.indices - span.source.start, axis)
    if plan.rgb and plan.channels == FOR_GREY:
        check_colourless(without_colour(block), plan.model)
    colours = plan.seen(block)
    values = np.empty(colours.shape, np.float32)
    missing: np.ndarray | None = None
    for rows in strips(len(colours)):
        values[rows] = window.normalise(colours[rows])
    if plan.dtype.kind == "f":
        gaps = ~np.isfinite(colours)
        if gaps.any():
            values = np.stack(
                [fill(values[..., c], gaps[..., c]) for c in range(plan.channels)], axis=-1
            )
            missing = gaps[tile.y.inside, tile.x.inside]
    alpha = block[..., 3] if plan.colours == (4,) else None
    hot = hot_pixels(values)
    if hot is not None:
        values[hot.places] = hot.values
        hot = HotPixels(hot.places, colours[hot.places])
    return Prepared(tile, values, missing, alpha, hot)


def apply(network: Network, batch: Sequence[Prepared], plan: RestorationPlan) -> list[np.ndarray]:
    """Through the network: (y, x, channels) float32 of what each tile restores; one batch at a time
    in a process.

    Parameters
    ----------
    batch : sequence of Prepared
        Of tiles that are `alike`; of any on a processor.

    Raises
    ------
    DoesNotFit
        If memory runs out.
    ModelError
        If what the network makes is not finite.
    """
    stages = _as_planned(network.stages, plan)
    outputs = [output for (output,) in _maps(stages, (stages.result,), batch, plan)]
    return [
        without_tints(output, prepared, plan)
        for output, prepared in zip(outputs, batch, strict=True)
    ]


def explanation(network: Network, prepared: Prepared, plan: RestorationPlan) -> np.ndarray:
    """What the network says of a tile: (y, x, 6) float32, the weights of the three candidates and
    their distances.

    Raises
    ------
    DoesNotFit
        If memory runs out.
    """
    ((told,),) = _maps(network.explained_stages, ("explanation",), [prepared], plan)
    return told


def restored_and_explained(
    network: Network, batch: Sequence[Prepared], plan: RestorationPlan
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Both `apply` and `explanation` of each tile, in one go."""
    stages = _as_planned(network.explained_stages, plan)
    made = _maps(stages, (stages.result, "explanation"), batch, plan)
    return [
        (without_tints(output, prepared, plan), told)
        for (output, told), prepared in zip(made, batch, strict=True)
    ]


def _as_planned(stages: Stages, plan: RestorationPlan) -> Stages:
    """A network's stages, with those that give the result the plan's pixels and softness."""
    return softening_network(averaging_network(stages, plan.factor), plan.softness.sigma)


def without_tints(output: np.ndarray, prepared: Prepared, plan: RestorationPlan) -> np.ndarray:
    """The output, grey wherever the network sees no colour: what is grey but stored in colours gets
    no tints.

    Parameters
    ----------
    output : ndarray, (y, x, channels) float32
        What the network makes of the tile.

    Notes
    -----
    It is decided pixel by pixel, from all that the network sees of the image there. So tiles fit
    together to what the whole image would give.
    """
    if output.shape[-1] == 1:
        return output
    values = prepared.values
    coloured = (values[..., 0] != values[..., 1]) | (values[..., 1] != values[..., 2])
    if coloured.any():
        if coloured.all():
            return output
        for axis in (0, 1):
            coloured = ndimage.maximum_filter1d(
                coloured.view(np.uint8), 2 * plan.reach + 1, axis, mode="constant"
            ).view(bool)
    grey = ~coloured[prepared.tile.y.inside, prepared.tile.x.inside]
    if not grey.any():
        return output
    grey = on_result(grey, plan.factor)
    return np.where(grey[..., None], output.mean(axis=-1, keepdims=True), output)


def _maps(
    stages: Stages, names: tuple[str, ...], batch: Sequence[Prepared], plan: RestorationPlan
) -> list[tuple[np.ndarray, ...]]:
    """For each tile, the part of some maps that lies over what it restores: (y, x, channels)
    float32.
    """
    apart = plan.device == "cpu" and len(batch) > 1
    through = _side_by_side if apart else _together
    try:
        with turn(), exact_float32(), torch.device("cpu"), torch.inference_mode():
            return through(stages, names, batch, plan)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error)
    # only now nothing holds the maps any more: the error's traceback did
    give_back(plan.device)
    raise DoesNotFit(reason)


def _together(
    stages: Stages, names: tuple[str, ...], batch: Sequence[Prepared], plan: RestorationPlan
) -> list[tuple[np.ndarray, ...]]:
    """See `_maps`: all tiles in one go."""
    images, tile = _on_device(batch, plan.device), batch[0].tile
    maps = _forward(stages, names, images, tile, plan.device, plan.precision)
    if not _all_numbers(maps):
        if plan.precision != "float32":
            maps = _forward(stages, names, images, tile, plan.device, "float32")
        if plan.precision == "float32" or not _all_numbers(maps):
            raise ModelError(_NO_NUMBERS)
    made = [list(_on_host(each)) for each in maps]
    return list(zip(*made, strict=True))


def _side_by_side(
    stages: Stages, names: tuple[str, ...], batch: Sequence[Prepared], plan: RestorationPlan
) -> list[tuple[np.ndarray, ...]]:
    """See `_maps`: each tile, as a whole, in one of the threads that blocks of larger ones go
    through. So the processors wait for each other but once for all of them.
    """
    made: list[tuple[np.ndarray, ...]] = [()] * len(batch)

    def one(at: int) -> None:
        (made[at],) = _together(stages, names, batch[at : at + 1], plan)

    with block_threads() as threads:
        pieces = [partial(one, at) for at in range(len(batch))]
        for done, _ in enumerate(threads.done(pieces), start=1):
            with portion(0, done / len(batch)):
                pass
    return made


def _all_numbers(maps: Sequence[Tensor]) -> bool:
    return bool(torch.stack([each.sum() for each in maps]).isfinite().all())


def give_back(device: str) -> None:
    """Let other programs have what torch keeps of a GPU's memory for what comes next."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        getattr(torch.accelerator, "empty_host_cache", bool)()  # from torch 2.10 on
    elif device.startswith("mps"):
        torch.mps.empty_cache()


@when_released
def _give_all_back() -> None:
    for device in {device for copies in list(_COPIES.values()) for device in copies}:
        give_back(device)


def _on_device(batch: Sequence[Prepared], device: str) -> Tensor:
    """The tiles as (tile, channel, y, x); to a GPU through memory that it reads by itself."""
    values = [torch.from_numpy(prepared.values) for prepared in batch]
    images = values[0][None] if len(batch) == 1 else torch.stack(values)
    if device.startswith("cuda"):  # torch keeps such memory until the GPU has read it
        return images.pin_memory().to(device, non_blocking=True).permute(0, 3, 1, 2)
    images = images.to(device).permute(0, 3, 1, 2)  # no other memory is kept: this waits
    return images.contiguous() if device.startswith("mps") else images


def _on_host(maps: Tensor) -> np.ndarray:
    """(tile, y, x, channel) of (tile, channel, y, x): put in order on the device, and copied in one
    go.
    """
    ordered = maps.permute(0, 2, 3, 1).contiguous()
    if not ordered.is_cuda:
        return ordered.cpu().numpy()
    host = torch.empty(ordered.shape, dtype=ordered.dtype, pin_memory=True)
    host.copy_(ordered, non_blocking=True)
    torch.cuda.current_stream(ordered.device).synchronize()
    return host.numpy()


def finish(
    output: np.ndarray, prepared: Prepared, plan: RestorationPlan, window: Window
) -> np.ndarray:
    """From the network's output to the tile's part of the result."""
    restored = np.empty(output.shape, plan.dtype)
    for rows in strips(len(output)):
        restored[rows] = window.invert(output[rows], plan.dtype)
    if prepared.missing is not None:
        restored[on_result(prepared.missing, plan.factor)] = np.nan
    if prepared.hot is not None:
        _put_back(prepared.hot, restored, prepared.tile, plan.factor)
    if not plan.rgb:
        return restored[..., 0]
    if plan.channels == FOR_GREY:
        restored = np.repeat(restored, FOR_COLOURS, axis=-1)
    if prepared.alpha is not None:
        f, (y, x) = plan.factor, (prepared.tile.y.inside, prepared.tile.x.inside)
        alpha = _enlarged(prepared.alpha, plan)[y.start * f : y.stop * f, x.start * f : x.stop * f]
        restored = np.concatenate([restored, alpha[..., None]], axis=-1)
    return restored


def _put_back(hot: HotPixels, restored: np.ndarray, tile: Tile, factor: int) -> None:
    """Give the pixels of the result that lie over hot ones the values of these."""
    y, x, colours = hot.places
    y, x = (at - span.inside.start for at, span in ((y, tile.y), (x, tile.x)))
    height, width = (length // factor for length in restored.shape[:2])
    own = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    fine = restored.reshape(height, factor, width, factor, -1)  # a view
    fine[y[own], :, x[own], :, colours[own]] = hot.values[own, None, None]


def strips(length: int) -> Iterator[slice]:
    """A few rows at a time, which take little memory and stay in the processor's cache."""
    return (slice(start, start + STRIP_ROWS) for start in range(0, length, STRIP_ROWS))


def _forward(
    stages: Stages, names: tuple[str, ...], image: Tensor, tile: Tile, device: str, precision: str
) -> list[Tensor]:
    dtype, kind = getattr(torch, precision), device.split(":")[0]
    y, x = ((span.inside.start, span.inside.stop) for span in (tile.y, tile.x))
    edge = block_edge(device, precision)
    with (
        torch.autocast(kind, dtype=dtype, enabled=dtype != torch.float32),
        block_threads() if edge is not None else nullcontext() as blocks,
    ):
        maps = stages.maps(image, dict.fromkeys(names, (y, x)), edge, blocks)
    return [maps[name].float() for name in names]


def _enlarged(alpha: np.ndarray, plan: RestorationPlan) -> np.ndarray:
    """Bicubic enlargement of (y, x), same dtype, without overshoot: each pixel lies within what is
    next to it in `alpha`.
    """
    if plan.factor == 1:
        return alpha
    top = 1.0 if plan.dtype.kind in "bf" else float(np.iinfo(plan.dtype).max)
    window = Window(0, top)
    values = np.nan_to_num(window.normalise(alpha))
    with exact_float32(), torch.inference_mode():
        enlarged = BicubicUpsampling(plan.factor)(torch.from_numpy(values)[None, None])[
            0, 0
        ].numpy()
    low, high = (
        extreme(values, size=3, mode="nearest")
        .repeat(plan.factor, axis=0)
        .repeat(plan.factor, axis=1)
        for extreme in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    return window.invert(np.clip(enlarged, low, high), plan.dtype)
