"""The layers that show the maps of a result: made when they are asked for, and found again by what
they show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.widgets.layers.appearance import show_name_and_colours
from napari_mdeblurgan.widgets.layers.origin import is_map
from napari_mdeblurgan.widgets.layers.placement import enlarged, placement_of
from napari_mdeblurgan.widgets.layers.selection import kept_selection
from napari_mdeblurgan.widgets.runs.trust import Trusted

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer


def maps_there(viewer: Viewer, result: Image, trusted: Trusted | None) -> dict[str, Layer]:
    """The layers of the viewer that show maps of a result, by the names of the maps.

    Parameters
    ----------
    viewer : Viewer
    result : Image
    trusted : Trusted or None
        What is known of the result; without it maps count that tell the same source, as those from
        files do.
    """
    there = [each for each in viewer.layers if is_map(each)]
    if trusted is None:
        source = _told(result).get("source")
        return {
            _told(each)["map"]: each
            for each in there
            if source and _told(each).get("source") == source
        }
    wanted = map_arguments(trusted)
    return {
        _told(each)["map"]: each for each in there if _shows(each, wanted.get(_told(each)["map"]))
    }


def map_arguments(trusted: Trusted) -> dict[str, dict[str, Any]]:
    """What the layers of the maps are made from, by the names of the maps; the first is to lie on
    top.
    """
    return {arguments["metadata"]["mdeblurgan"]["map"]: arguments for arguments in trusted.layers}


def add_map(viewer: Viewer, arguments: Mapping[str, Any], below: Sequence[Layer]) -> Layer:
    """Add a map right above the layers `below`, exactly on the first of them, which is its result,
    with a bar that tells its colours, and its name and unit beside it.
    """
    from napari.layers import Image, Labels
    from napari.utils.colormaps import DirectLabelColormap

    from napari_mdeblurgan.trust.pictures import CHOICE_COLOURS

    result, order = below[0], arguments["order"]
    wishes = {name: value for name, value in arguments.items() if name not in ("kind", "order")}
    own, finest = (
        _finest(data, multiscale=multiscale).shape[order[-1]]
        for data, multiscale in (
            (arguments["data"], arguments["multiscale"]),
            (result.data, getattr(result, "multiscale", False)),
        )
    )
    wishes |= enlarged(placement_of(result, order), own / finest).layer_arguments()
    if arguments["kind"] == "labels":
        colours: dict[int | None, str] = {None: "transparent", 0: "transparent"}
        colours |= dict(enumerate(CHOICE_COLOURS[1:], start=1))
        layer: Layer = Labels(**wishes, colormap=DirectLabelColormap(color_dict=colours))
    else:
        layer = Image(**wishes)
    show_name_and_colours(layer)
    with kept_selection(viewer):
        viewer.layers.insert(max(map(viewer.layers.index, below)) + 1, layer)
    return layer


def _told(layer: Layer) -> dict[str, Any]:
    made = layer.metadata.get("mdeblurgan")
    return made if isinstance(made, dict) else {}


def _shows(layer: Layer, arguments: Mapping[str, Any] | None) -> bool:
    """Whether a layer shows this very map: the same array, or the same file."""
    if arguments is None:
        return False
    file = arguments["metadata"]["mdeblurgan"]["file"]
    if file and _told(layer).get("file") == file:
        return True
    return _finest(layer.data, multiscale=layer.multiscale) is _finest(
        arguments["data"], multiscale=arguments["multiscale"]
    )


def _finest(data: Any, *, multiscale: bool) -> Any:
    return data[0] if multiscale else data
