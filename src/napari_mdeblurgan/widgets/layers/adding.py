"""From a result to a layer, without disturbing what the user has selected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_mdeblurgan.widgets.layers.origin import source_name_of
from napari_mdeblurgan.widgets.layers.selection import kept_selection

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer


def add_layer(
    viewer: Viewer,
    data: Any,
    arguments: Mapping[str, Any],
    source: Layer | None,
    earlier: Iterable[Layer] = (),
) -> Image:
    """Add a result right above its source and all that was made from that before, which would hide
    it; at the top if the source is gone.

    napari makes the name unique. The user's selection stays, so that the source can be restored
    again.

    Parameters
    ----------
    viewer : Viewer
        To add it to.
    data : array or list of array
        Its pixels.
    arguments : mapping
        Keywords of `Image`, and `contrast_limits_range`.
    source : Layer or None
        What it was made from.
    earlier : iterable of Layer
        Results of the source that are known to be so, also where it has another name by now.
    """
    keywords = dict(arguments)
    contrast_range = keywords.pop(
        "contrast_limits_range", None
    )  # no keyword, and it follows the limits at first
    layer = Image(data, **keywords)
    if contrast_range is not None:
        layer.contrast_limits_range = contrast_range
    if source is not None and source in viewer.layers:
        position = _top_of_family(viewer, source, earlier) + 1
    else:
        position = len(viewer.layers)
    with kept_selection(viewer):
        viewer.layers.insert(position, layer)
    return layer


def _top_of_family(viewer: Viewer, source: Layer, earlier: Iterable[Layer]) -> int:
    """The highest place of a source, its results, their maps, and what was made from those."""
    top = viewer.layers.index(source)
    names = {source.name, *filter(None, map(source_name_of, earlier))}
    found = True
    while found:
        family = [at for at, each in enumerate(viewer.layers) if source_name_of(each) in names]
        names, known = names | {viewer.layers[at].name for at in family}, len(names)
        top, found = max([top, *family]), len(names) > known
    return top


def remove_layers(viewer: Viewer, layers: list[Image]) -> None:
    """Take `layers` out of the viewer, but for those that the user has locked."""
    with kept_selection(viewer):
        for layer in layers:
            if not getattr(layer, "locked", False):  # which not every napari has
                viewer.layers.remove(layer)
