"""From layers of this program to one image with its record, for a file. No Qt in here.

Layers are what napari hands to writers and takes from readers: pixels, attributes by name, and the
kind of the layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.storage.array_part import ArrayPart
from napari_mdeblurgan.storage.provenance import record_of
from napari_mdeblurgan.widgets.layers.appearance import FOLLOWED, display_of
from napari_mdeblurgan.widgets.layers.axes import arranged, lazy, micrograph, order_of
from napari_mdeblurgan.widgets.layers.placement import Placement
from napari_mdeblurgan.widgets.layers.result_metadata import made_so

LayerTuple = tuple[Any, Mapping[str, Any], str]

METADATA_KEY = "mdeblurgan"  # of what a layer's metadata tell of how it was made
LOOK = (*(name for name in FOLLOWED if name != "rgb"), "plane", "experimental_clipping_planes")
SAVED_EDGE = 1024
SHOWN_SOFTENED = "shown_softened"  # of a record: by what sigma the pixels of the file are blurred


def how_made(layer: LayerTuple) -> dict[str, Any] | None:
    """How a layer was made, as its metadata tell; None for one that this program has not made."""
    made = (layer[1].get("metadata") or {}).get(METADATA_KEY)
    return made if isinstance(made, dict) else None


def map_name(layer: LayerTuple) -> str:
    """The name of the map that a layer shows; empty for one that shows none."""
    return str((how_made(layer) or {}).get("map", ""))


def is_restored(made: Mapping[str, Any]) -> bool:
    """Whether what was made so is a restoration: no map, and of images put together of a focus
    stack one of restored planes.
    """
    focus = made.get("focus")
    return "map" not in made and (
        bool(focus.get("restored")) if isinstance(focus, Mapping) else True
    )


def image_of(layers: Sequence[LayerTuple]) -> Micrograph:
    """One image of one layer, or of the channels of an image that are a layer each; with a record
    of all of them.

    Raises
    ------
    ImageError
        In one sentence, if the layers are no channels of one image, or a layer is not whole yet.
    """
    images = [_image_of(layer) for layer in layers]
    first, *others = images
    if not others:
        return first
    for layer, image in zip(layers[1:], images[1:], strict=True):
        if not fits(first, image):
            raise ImageError(
                f"{layers[0][1]['name']!r} and {layer[1]['name']!r} are no channels of one image "
                "(grey, of one size, type and place): save them one by one."
            )
    made = [how_made(layer) or {} for layer in layers]
    entries = [image.provenance["layers"][0] for image in images]
    return replace(
        first,
        data=stacked([image.data for image in images]),
        axes=f"C{first.axes}",
        channel_names=tuple(
            str(each.get("source") or image.name) for each, image in zip(made, images, strict=True)
        ),
        display=tuple(image.display[0] for image in images),
        name="",
        provenance=record_of(entries),
    )


def fits(one: Micrograph, other: Micrograph) -> bool:
    """Whether two images can be channels of one: grey, of the same size and type, and lying on each
    other.
    """
    alike = (
        one.axes == other.axes
        and one.data.shape == other.data.shape
        and one.data.dtype == other.data.dtype
    )
    return (
        alike
        and not one.rgb
        and "C" not in one.axes
        and one.place == other.place
        and one.restored == other.restored
    )


def joinable(layers: Sequence[LayerTuple]) -> list[int]:
    """Numbers of the layers that can be saved as channels of one image with the first, which is
    always one of them.
    """
    if len(layers) < 2:
        return list(range(len(layers)))
    first = _image_of(layers[0])
    kept = [0]
    for number, layer in enumerate(layers[1:], 1):
        try:
            kept += [number] * fits(first, _image_of(layer))
        except ImageError:
            continue
    return kept


def placement_in(attributes: Mapping[str, Any], ndim: int) -> Placement:
    """Where a layer of so many axes lies, as its attributes tell."""
    labels = tuple(
        attributes.get("axis_labels") or (f"axis {number - ndim}" for number in range(ndim))
    )
    scale, translate = attributes.get("scale"), attributes.get("translate")
    rotate, shear, affine = (attributes.get(name) for name in ("rotate", "shear", "affine"))
    return Placement(
        scale=np.ones(ndim) if scale is None else np.array(scale, dtype=float),
        translate=np.zeros(ndim) if translate is None else np.array(translate, dtype=float),
        rotate=np.eye(ndim) if rotate is None else np.array(rotate, dtype=float),
        shear=np.zeros(ndim * (ndim - 1) // 2) if shear is None else np.array(shear, dtype=float),
        affine=np.eye(ndim + 1) if affine is None else np.array(affine, dtype=float),
        units=tuple(attributes.get("units") or ("pixel",) * ndim),
        axis_labels=labels,
        order=order_of(labels),
    )


def _image_of(layer: LayerTuple) -> Micrograph:
    data, attributes, _ = layer
    finest = data[0] if attributes.get("multiscale") else data
    if isinstance(finest, ArrayPart):  # of a result that fills in
        raise ImageError(
            f"{attributes['name']!r} is not finished yet: press Resume and save it then."
        )
    rgb, made = bool(attributes.get("rgb")), made_so(how_made(layer) or {}, finest.shape)
    placement = placement_in(attributes, finest.ndim - rgb)
    pixels = finest if isinstance(finest, np.ndarray) else lazy(finest)
    image = micrograph(arranged(pixels, placement.order), str(attributes["name"]), rgb, placement)
    return replace(
        image,
        display=display_of(attributes, image.channels),
        restored=is_restored(made),
        provenance=record_of([layer_entry(attributes, image.axes, made, placement)]),
    )


def layer_entry(
    attributes: Mapping[str, Any], axes: str, made: Mapping[str, Any], placement: Placement
) -> dict[str, Any]:
    """What the record keeps of a layer beyond what formats have a place for."""
    colormap, limits = attributes.get("colormap"), attributes.get("contrast_limits")
    return {
        "name": attributes["name"],
        "axes": axes,
        "placement": placement.told(),
        "colormap": colormap.get("name")
        if isinstance(colormap, Mapping)
        else getattr(colormap, "name", colormap),
        "contrast_limits": None if limits is None else np.asarray(limits).tolist(),
        "look": {name: attributes[name] for name in LOOK if name in attributes},
        "made": {name: value for name, value in made.items() if name != "trust"},
        "trust": made.get("trust"),
    }


def stacked(channels: Sequence[Any]) -> Any:
    """Channels along an axis of their own, which comes first; lazy, so that
    nothing is copied here.
    """
    return da.stack([in_blocks(channel) for channel in channels])


def in_blocks(data: Any, *, rgb: bool = False) -> Any:
    """An array in memory as a lazy one, plane by plane and in blocks; a lazy one is what it is."""
    if hasattr(data, "dask"):
        return data
    last = (data.shape[-1],) if rgb else ()
    planes = data.ndim - 2 - len(last)
    return da.from_array(data, chunks=((1,) * planes + (SAVED_EDGE, SAVED_EDGE) + last), name=False)
