"""The plan of a restoration: all that follows from the image, the model and the user's wishes,
settled once at the start.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.model_card import ModelCard
from napari_mdeblurgan.restoration import fitting
from napari_mdeblurgan.restoration.arrays import as_array, check_order, is_lazy
from napari_mdeblurgan.restoration.checking import (
    check_dtype,
    check_is_card,
    check_result_memory,
    check_shape,
    checked_channel_axes,
    checked_region,
    checked_tile,
    given_windows,
    has_colours,
    look_for_channels_last,
    looking_for_missing,
    per_axis,
)
from napari_mdeblurgan.restoration.colourless import FOR_GREY, check_colourless, seems_colourless
from napari_mdeblurgan.restoration.device import device_label, pick_device, pick_precision
from napari_mdeblurgan.restoration.intensity import FILL_RADIUS, Window
from napari_mdeblurgan.restoration.jpeg import jpeg_softness
from napari_mdeblurgan.restoration.measuring import measuring
from napari_mdeblurgan.restoration.output_scale import not_trained_for, output_factor, softness_at
from napari_mdeblurgan.restoration.read_in_turn import read_in_turn
from napari_mdeblurgan.restoration.room import check_room
from napari_mdeblurgan.restoration.softness import (
    AUTO,
    BARE,
    Softness,
    chosen_softness,
    softening_margin,
)
from napari_mdeblurgan.restoration.tiling import GRID, Region, TileGrid
from napari_mdeblurgan.steps import finished, map_steps
from napari_mdeblurgan.storage.objective import Objective
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_layout import CHUNK_EDGE


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationPlan:
    """All that the engine needs to know, and all that the result will be.

    Attributes
    ----------
    shape : tuple of int
        The image's: (..., y, x), or (..., y, x, 3 or 4) if `rgb`.
    dtype : numpy.dtype
        The image's, and the result's.
    rgb : bool
        The last axis holds colours; a fourth one is alpha, which is enlarged but not restored.
    channels : int
        The model's: 3 for colours, 1 for grey, which may be stored in colours (`rgb`).
    window_axes : tuple of int
        The leading axes that have a window for each of their entries; none if there is one window
        for all.
    region : ((int, int), (int, int))
        Start and stop along y and x of what is restored, in pixels of the image.
    windows : tuple of Window, or None
        One for the whole image, or one for each entry of the window axes, the last varying fastest;
        None where a lazy image is not to be read before the result is, see `make_plan`.
    factor : int
        Pixels of the result for one of the image, along y and x: those of the model, or fewer,
        averaged.
    tile, halo : int
        Largest edge of a tile, and the pixels around it that the network is given as well.
    tile_step : int
        Edges of tiles are multiples of this, but at the end of the region.
    device, precision : str
        Where and how exactly the network runs.
    scale, translate : tuple of float
        Size of the result's pixels and the centre of its first one, per axis without the colours,
        in the units of the source layer's.
    model : str
        Name of the model that the plan was made for.
    warnings : tuple of str
        Sentences that the user should see.
    softness : Softness
        How soft the result is to be, and how that is known.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    rgb: bool
    channels: int
    window_axes: tuple[int, ...]
    region: Region
    windows: tuple[Window, ...] | None
    factor: int
    tile: int
    halo: int
    device: str
    precision: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    model: str
    warnings: tuple[str, ...] = ()
    tile_step: int = GRID
    softness: Softness = BARE

    @property
    def image_axes(self) -> int:
        """How many of the last axes make one image: 2, or 3 with colours."""
        return 3 if self.rgb else 2

    @property
    def leading(self) -> tuple[int, ...]:
        """Sizes of the axes before y."""
        return self.shape[: len(self.shape) - self.image_axes]

    @property
    def colours(self) -> tuple[int, ...]:
        """() for grey, (3,) or (4,) for colour."""
        return self.shape[-1:] if self.rgb else ()

    def seen(self, block: np.ndarray) -> np.ndarray:
        """What the network is given of a block of the image or of the result, (y, x) or (y, x,
        colours): (y, x, channels), a view.
        """
        return block[..., : self.channels] if self.rgb else block[..., None]

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the image where the result begins."""
        (y, _), (x, _) = self.region
        return y, x

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return (
            *self.leading,
            *((stop - start) * self.factor for start, stop in self.region),
            *self.colours,
        )

    @property
    def reach(self) -> int:
        """How far a pixel of the result sees, in pixels of the image: the halo without what filling
        in looks at.
        """
        return max(self.halo - (FILL_RADIUS if self.dtype.kind == "f" else 0), 0)

    @property
    def grid(self) -> TileGrid:
        """The tiles of each image of the stack."""
        axis = len(self.leading)
        shape = self.shape[axis], self.shape[axis + 1]
        return TileGrid(shape, self.region, self.tile, self.halo, step=self.tile_step)

    def on(self, device: str) -> RestorationPlan:
        """The same carried out on another device: that of a worker of a cluster, which only the
        worker knows.
        """
        return replace(self, device=device)

    @property
    def described(self) -> str:
        """Model, device, precision and, unless they are the bare network's, pixels and softness,
        for people.
        """
        parts = [f"model {self.model}", device_label(self.device), self.precision]
        parts += ["the image's own pixels"] if self.factor == 1 else []
        return ", ".join(parts + ([str(self.softness)] if self.softness.sigma else []))

    def window(self, index: tuple[int, ...], windows: tuple[Window, ...]) -> Window:
        """The window of the image at `index` of the leading axes."""
        return windows[self.window_number(index)]

    def window_number(self, index: tuple[int, ...]) -> int:
        """Which of the windows is that of the image at `index` of the leading axes."""
        number = 0
        for axis in self.window_axes:
            number = number * self.shape[axis] + index[axis]
        return number


def make_plan(image: Any, card: ModelCard, **options: Any) -> RestorationPlan:
    """All of `planning` in one go, with its options; but no pixel of a lazy image (dask, zarr) is
    read.

    Where its windows are not given either, the plan has none, and whoever carries it out measures
    them.
    """
    return finished(planning(image, card, read_lazy=False, **options))


def planning(
    image: Any,
    card: ModelCard,
    *,
    rgb: bool | None = None,
    channel_axis: int | Iterable[int] | None = None,
    window: tuple[float, float] | Sequence[tuple[float, float]] | None = None,
    tile: int | None = None,
    tile_memory_mb: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    scale: Sequence[float] | None = None,
    translate: Sequence[float] | None = None,
    region: Region | None = None,
    in_memory: bool = True,
    on_disk: Path | None = None,
    eightfold: bool = False,
    softness: float | str | Softness = AUTO,
    output_scale: int | None = None,
    objective: Objective | None = None,
    pixel_size_um: float | None = None,
    binning: int = 1,
    whole: Any = None,
    remarks: Sequence[str] = (),
    read_lazy: bool = True,
) -> Generator[float, None, RestorationPlan]:
    """Find everything that can be wrong, and settle everything that has to be known, once and for
    all.

    Parameters
    ----------
    image : array
        (..., y, x), or (..., y, x, 3 or 4) in colour; bool, integer or float; numpy, or lazy (dask,
        zarr).
    card : ModelCard
        The model's.
    rgb : bool, optional
        Whether the last axis holds colours; by default, where the model is one for colours.
    channel_axis : int or ints, optional
        A leading axis whose entries are channels of fluorescence, each with a window of its own; or
        several of them, if each combination is to have one.
    window : (float, float), or one pair per channel, optional
        Grey values that the network sees as 0 and 1; measured by default.
    tile : int, optional
        Largest edge of a tile in pixels; by default what the memory of the device is enough for,
        see `fitting_tile`.
    tile_memory_mb : int, optional
        MiB that a tile may take at most, where `tile` is not given; by default what is at hand.
    device, precision : str
        See `pick_device` and `pick_precision`.
    scale, translate : sequence of float, optional
        Of the source layer, per axis without the colours; 1 and 0 by default.
    region : ((int, int), (int, int)), optional
        Restore only this part along y and x; what is around it is seen all the same.
    in_memory : bool
        The result will be one array in memory, so it is made sure that it fits.
    on_disk : Path, optional
        The result will be this OME-Zarr instead: tiles are steady ones and end where its chunks do,
        and it is made sure that the disk has room before pixels are read, of which there may be
        fewer than is claimed.
    eightfold : bool
        Tiles are restored in eight orientations, so they are small.
    softness : float, "auto" or Softness
        Standard deviation, in pixels of the result, of the Gaussian closest to the point-spread
        function that the result is to have; 0 for the bare network, "auto" for what follows from
        `objective` and, if it was compressed, the image.
    output_scale : int, optional
        Pixels of the result for one of the image, along y and x: 1 for the image's own pixels,
        where what the model makes is averaged over blocks; by default as many as the model was
        trained for.
    objective : Objective, optional
        What the image was taken with, as far as it is known.
    pixel_size_um : float, optional
        Edge of a pixel of the image in the specimen, as far as it is known, in µm; only "auto" asks
        for it.
    binning : int
        By how many pixels along y and x the image was averaged before, which makes "auto" a little
        softer where the objective is not known.
    whole : array, optional
        What the image is a part of, with the same entries along the channel axes: the windows are
        its.
    remarks : sequence of str
        What else the user should see.
    read_lazy : bool
        Read what has to be of a lazy image, see `make_plan`.

    Yields
    ------
    float
        How much of the image has been read to measure its windows of intensity, see `measuring`: 0
        before that, too, when all else is settled, and 1 while values that are missing are looked
        for. Closing the generator ends it.

    Raises
    ------
    ImageError
        In one sentence, if the image, the region or a wish cannot be met.
    ModelError
        If `card` is none, such as the model itself.
    """
    check_is_card(card)
    check_order(image)
    image, in_memory = as_array(image), in_memory and on_disk is None
    if is_lazy(image):
        image = read_in_turn(image)
    shape, dtype = tuple(int(length) for length in image.shape), np.dtype(image.dtype)
    check_dtype(dtype)
    colour = has_colours(shape, card, rgb)
    check_shape(shape, colour)
    if colour and card.channels == FOR_GREY and (read_lazy or not is_lazy(image)):
        check_colourless(seems_colourless(image), card.name)
    leading = len(shape) - (3 if colour else 2)
    window_axes = checked_channel_axes(channel_axis, leading, len(shape))
    area = checked_region(region, (shape[leading], shape[leading + 1]))
    axes = leading + 2
    given_scale = per_axis(scale, axes, 1.0, "scale")
    given_translate = per_axis(translate, axes, 0.0, "translate")
    factor = output_factor(output_scale, card)
    new_scale, new_translate = list(given_scale), list(given_translate)
    for axis, (start, _) in zip((leading, leading + 1), area, strict=True):
        new_scale[axis] = given_scale[axis] / factor
        new_translate[axis] = given_translate[axis] + given_scale[axis] * (
            start - (1 - 1 / factor) / 2
        )
    if in_memory:
        check_result_memory(shape, leading, area, factor, dtype)
    windows = given_windows(window, math.prod(shape[axis] for axis in window_axes), dtype)
    doubts = look_for_channels_last(shape, colour)
    chosen = pick_device(device)
    accuracy = pick_precision(precision, chosen)
    unknown = softness_at(card, factor, binning)
    settled = not isinstance(softness, str) or softness != AUTO or isinstance(unknown, Softness)
    looked_at = not settled and (read_lazy or not is_lazy(image))
    wanted = chosen_softness(
        softness,
        objective,
        pixel_size_um,
        unknown,
        jpeg_softness(image, factor, rgb=colour) if looked_at else 0.0,
    )
    around = softening_margin(wanted.sigma, factor)
    edge = checked_tile(tile, card, chosen, accuracy, tile_memory_mb, quick=on_disk is None)
    edge = min(edge, fitting.LARGEST_TILE) if eightfold else edge
    output_shape = (
        *shape[:leading],
        *((stop - start) * factor for start, stop in area),
        *shape[leading + 2 :],
    )
    if windows is None and (read_lazy or not is_lazy(image)):
        if on_disk is not None:
            check_room(on_disk, output_shape, dtype)
        yield 0.0
        windows = yield from measuring(
            image if whole is None else as_array(whole), colour, window_axes
        )
    if read_lazy or not is_lazy(image):
        doubts += yield from map_steps(looking_for_missing(image, leading, area), lambda _: 1.0)
    return RestorationPlan(
        shape=shape,
        dtype=dtype,
        rgb=colour,
        channels=card.channels,
        window_axes=window_axes,
        region=area,
        windows=windows,
        factor=factor,
        tile=edge,
        tile_step=GRID
        if on_disk is None
        else min(CHUNK_EDGE, edge // GRID * GRID * factor) // factor,
        halo=card.halo + -(-around // 8) * 8 + (FILL_RADIUS if dtype.kind == "f" else 0),
        softness=wanted,
        device=chosen,
        precision=accuracy,
        scale=tuple(new_scale),
        translate=tuple(new_translate),
        model=card.name,
        warnings=(*remarks, *doubts, *filter(None, [not_trained_for(factor, card)])),
    )
