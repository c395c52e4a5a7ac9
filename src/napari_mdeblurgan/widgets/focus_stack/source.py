"""The layer, or the layers, whose planes are a focus stack, copied when a button is pressed. No Qt
in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import as_array
from napari_mdeblurgan.widgets.layers.appearance import appearance_of, contrast_of_all
from napari_mdeblurgan.widgets.layers.axes import arranged, letter_of, order_of, put_back
from napari_mdeblurgan.widgets.layers.origin import is_result_layer
from napari_mdeblurgan.widgets.layers.placement import Placement, collapsed, enlarged, placement_of
from napari_mdeblurgan.widgets.layers.view import full_resolution, image_shape
from napari_mdeblurgan.widgets.runs.known_optics import layer_pixel_um

if TYPE_CHECKING:
    from napari.layers import Image

CutRanges = tuple[
    tuple[int, int], ...
]  # a start and a stop along each axis, in the order of the image

_COLOURS = 3  # transparency is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSource:
    """The planes of a focus stack, and how what is made of them is shown.

    Attributes
    ----------
    name : str
        What the stack is called.
    planes : tuple of array
        (..., y, x) or (..., y, x, 3) each, numpy or lazy.
    further : tuple of int
        Lengths of their axes before y and x.
    channel_axis : int or None
        Which of these are channels.
    axis : int or None
        The layer's axis that counts the planes; None where each plane is a layer of its own.
    lengths : tuple of int
        Of the layer's axes.
    placements : tuple of Placement
        Of the layer, or of one for each plane.
    looks : tuple of dict
        As many, see `appearance_of`.
    file : str or None
        What the layer was opened from.
    restored : bool
        Whether a layer is a result of a restoration.
    """

    name: str
    planes: tuple[Any, ...]
    further: tuple[int, ...] = ()
    channel_axis: int | None = None
    axis: int | None = None
    lengths: tuple[int, ...]
    placements: tuple[Placement, ...]
    looks: tuple[dict[str, Any], ...]
    file: str | None = None
    restored: bool = False

    @property
    def other(self) -> tuple[int, ...]:
        """Lengths of the further axes but that of the channels."""
        return tuple(
            length for number, length in enumerate(self.further) if number != self.channel_axis
        )

    def look(self, reference: int) -> dict[str, Any]:
        """Attributes of an image on the pixels of a plane."""
        return self.looks[reference if self.axis is None else 0]

    def placed(
        self, data: np.ndarray, reference: int, *, channels: bool
    ) -> tuple[np.ndarray, Placement]:
        """An image on the pixels of a plane, with its axes as in the layer, and where it lies.

        Parameters
        ----------
        data : ndarray
            (..., y, x) or (..., y, x, 3) with the further axes.
        reference : int
            That plane.
        channels : bool
            Whether it has the axis of the channels, if the stack has one.
        """
        place = self.placements[reference if self.axis is None else 0]
        axes = [] if self.axis is None else [self.axis]
        if not channels and self.channel_axis is not None:
            axes.append([axis for axis in place.order if axis != self.axis][self.channel_axis])
        found, left_out = collapsed(place, self.lengths, axes)
        there = [axis for axis in place.order if axis not in left_out]
        for position, axis in enumerate(there):
            if axis in axes:
                data = np.expand_dims(data, position)
        return put_back(data, found.order), found


def stack_of(layer: Image, axis: int, part: CutRanges | None = None) -> StackSource:
    """The planes of a layer, or of a part of it.

    Parameters
    ----------
    layer : Image
        With more axes than y and x; of a multiscale layer it is the finest level.
    axis : int
        The layer's axis that counts the planes.
    part : tuple of (int, int), optional
        Start and stop along every axis but that one, in the order of the image.

    Raises
    ------
    ImageError
        If the layer holds no array.
    """
    order = order_of(layer.axis_labels)
    rest = [each for each in order if each != axis]
    data = arranged(as_array(full_resolution(layer)), (axis, *rest))
    place = placement_of(layer)
    if part is not None:
        data = data[(slice(None), *(slice(*span) for span in part))]
        first = dict(zip(rest, (start for start, _ in part), strict=True))
        place = enlarged(place, 1, [first.get(each, 0) for each in order])
    lengths = dict(zip((axis, *rest), data.shape, strict=False))
    letters = [letter_of(layer.axis_labels[each]) for each in rest[:-2]]
    return StackSource(
        name=layer.name,
        planes=tuple(_without_alpha(data[number], layer.rgb) for number in range(data.shape[0])),
        further=tuple(data.shape[1 : len(rest) - 1]),
        channel_axis=letters.index("C") if "C" in letters else None,
        axis=axis,
        lengths=tuple(lengths[each] for each in range(layer.ndim)),
        placements=(place,),
        looks=(appearance_of(layer),),
        file=layer.source.path,
        restored=is_result_layer(layer),
    )


def stack_of_layers(layers: Sequence[Image], part: CutRanges | None = None) -> StackSource:
    """Layers that are a plane each, as a stack in their order; the arguments are those of
    `stack_of`.
    """
    planes, places, contrast = [], [], contrast_of_all(layers)
    for layer in layers:
        place = placement_of(layer)
        data = _without_alpha(arranged(as_array(full_resolution(layer)), place.order), layer.rgb)
        if part is not None:
            data = data[tuple(slice(*span) for span in part)]
            place = enlarged(place, 1, [start for start, _ in part])
        planes.append(data)
        places.append(place)
    return StackSource(
        name=_common_name([layer.name for layer in layers]),
        planes=tuple(planes),
        lengths=(1, 1),
        placements=tuple(places),
        looks=tuple(appearance_of(layer) | contrast for layer in layers),
        file=layers[0].source.path,
        restored=any(map(is_result_layer, layers)),
    )


def _common_name(names: Sequence[str]) -> str:
    """What the names of planes have in common, without their numbers."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    common = "".join(letters[0] for letters in same).rstrip(" _-.#[(0123456789")
    return common or f"{names[0]} to {names[-1]}"


def _without_alpha(data: Any, rgb: bool) -> Any:
    return data[..., :_COLOURS] if rgb and data.shape[-1] > _COLOURS else data


# ---- which axis it is


def leading_axes(layer: Image) -> tuple[int, ...]:
    """The layer's axes before y and x."""
    return order_of(layer.axis_labels)[:-2]


def depth_axis(layer: Image) -> int | None:
    """The axis that counts the planes: the one called z, or else of those without a telling name
    the one next to y.

    None where all of them are called something else, such as t for time.
    """
    letters = {axis: letter_of(layer.axis_labels[axis]) for axis in leading_axes(layer)}
    named = [axis for axis, letter in letters.items() if letter == "Z"]
    unnamed = [axis for axis, letter in letters.items() if not letter]
    long = [axis for axis in unnamed if image_shape(layer, range(layer.ndim))[axis] > 1]
    return next(iter(named), None) if named else next(reversed(long or unnamed), None)


def step_um(layer: Image, axis: int) -> float:
    """How far planes are apart, in µm; 0 where the axis has no unit of length."""
    return layer_pixel_um(layer.scale[axis], layer.units[axis]) or 0.0
