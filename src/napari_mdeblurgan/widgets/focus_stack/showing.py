"""What was made of a focus stack, as layers of the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_mdeblurgan.widgets.layers.adding import add_layer
from napari_mdeblurgan.widgets.layers.appearance import (
    hides_what_is_below,
    looking_like,
    show_alone,
    show_name_and_colours,
)
from napari_mdeblurgan.widgets.layers.origin import source_name_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

    from napari_mdeblurgan.widgets.focus_stack.stack_job import Focused


def add_focused(viewer: Viewer, made: Focused, sources: Sequence[Image], *, of_one: bool) -> Image:
    """Add an image right above its stack and what was made of that before, and its maps, hidden,
    above that; returns the layer of the image.

    Parameters
    ----------
    viewer : Viewer
        To add them to.
    made : Focused
        What was made.
    sources : sequence of Image
        The layers of the stack that are still in the viewer.
    of_one : bool
        Whether the stack is a single layer, which the image then looks like.
    """
    top = max(sources, key=viewer.layers.index, default=None)
    told = made.image["metadata"]["mdeblurgan"]["focus"]["source"]
    earlier = [each for each in viewer.layers if source_name_of(each) == told]
    look = looking_like(made.image, top if of_one else None)
    image = _added(viewer, dict(look), top, earlier)
    for arguments in made.maps:
        show_name_and_colours(_added(viewer, arguments, image))
    if not hides_what_is_below(image):
        for source in sources:
            show_alone(source, visible=False)
    return image


def _added(
    viewer: Viewer, arguments: dict, above: Image | None, earlier: Sequence[Layer] = ()
) -> Image:
    keywords = {name: value for name, value in arguments.items() if name != "data"}
    return add_layer(viewer, arguments["data"], keywords, above, earlier)
