"""What is written of a result: the image, with its record, and its maps. No Qt in here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.storage.stems import file_stem
from napari_mdeblurgan.widgets.keep.layer_images import (
    LayerTuple,
    how_made,
    image_of,
    map_name,
    stacked,
)
from napari_mdeblurgan.widgets.layers.axes import arranged, order_of

_FINE = "weights"  # has an axis more than an image


@dataclass(frozen=True)
class KeptResult:
    """A result, ready to be written.

    Attributes
    ----------
    image : Micrograph
        With its record.
    maps : dict of str to Micrograph
        By keys of `trust.maps.MAPS`.
    """

    image: Micrograph
    maps: dict[str, Micrograph]


def kept_result(
    layers: Sequence[LayerTuple], place: Path, maps: Sequence[Mapping[str, Any]] | None = None
) -> KeptResult:
    """Prepare results to be written; nothing is read or copied.

    Parameters
    ----------
    layers : sequence of (data, attributes, kind)
        Results, channels of one image if they are several, and perhaps maps of them.
    place : Path
        What they will be called.
    maps : sequence of mapping, optional
        For every result the arrays of its maps by name, with the axes of the image; by default
        those among the layers.

    Raises
    ------
    ImageError
        If there is no result among the layers, or they are no channels of one image.
    """
    results = [layer for layer in layers if not map_name(layer)]
    shown = [layer for layer in layers if map_name(layer)]
    if not results:
        raise ImageError(
            f"{shown[0][1]['name']!r} is a map: select its result as well, or save the map as .tif."
        )
    image = image_of(results)
    if not image.name:
        image = replace(image, name=file_stem(place))
    found = [_maps_among(shown, layer) for layer in results] if maps is None else maps
    return KeptResult(image, dict(_map_images(image, results, found)))


def save_kept(
    kept: KeptResult, place: Path, *, replace: bool, tell: Callable[[float], None]
) -> list[Path]:
    """Write it; see `trust.saving.save_result`."""
    from napari_mdeblurgan.trust.saving import save_result

    return save_result(place, kept.image, kept.maps, replace=replace, tell=tell)


def _maps_among(shown: Sequence[LayerTuple], result: LayerTuple) -> dict[str, Any]:
    """The maps among layers that are of the same source as a result."""
    source = (how_made(result) or {}).get("source")
    of_it = [layer for layer in shown if (how_made(layer) or {}).get("source") == source]
    return {map_name(layer): _finest(layer) for layer in of_it}


def _finest(layer: LayerTuple) -> Any:
    data, attributes, _ = layer
    finest = data[0] if attributes.get("multiscale") else data
    return arranged(finest, order_of(attributes.get("axis_labels") or [""] * finest.ndim))


def _map_images(
    image: Micrograph, results: Sequence[LayerTuple], found: Sequence[Mapping[str, Any]]
) -> Iterable[tuple[str, Micrograph]]:
    """The maps that all results have and that lie on them."""
    if not any(found):
        return
    from napari_mdeblurgan.trust.maps import MAPS
    from napari_mdeblurgan.trust.saving import map_image

    factor = (how_made(results[0]) or {}).get("scale", 1)
    shape = image.data.shape[:-1] if image.rgb else image.data.shape
    for name in (each for each in MAPS if each != _FINE and all(each in maps for maps in found)):
        arrays = [maps[name] for maps in found]
        data = stacked(arrays) if len(arrays) > 1 else arrays[0]
        size = tuple(length // (1 if MAPS[name].finer else factor) for length in shape[-2:])
        if data.shape == (*shape[:-2], *size):
            entries = [
                {"made": {"map": name, "source": (how_made(each) or {}).get("source")}}
                for each in results
            ]
            yield name, map_image(name, data, image, factor, entries)
