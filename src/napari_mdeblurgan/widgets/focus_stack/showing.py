"""What was made of a focus stack, as layers of the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_mdeblurgan.widgets.layers.adding import add_layer
from napari_mdeblurgan.widgets.layers.appearance import (
    CONTRAST,
    contrast_of_all,
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


def add_focused(viewer: Viewer, made: Focused, sources: Sequence[Image | None]) -> Image:
    """Add an image right above its stack and what was made of that before, and its maps, hidden,
    above that; returns the layer of the image.

    Parameters
    ----------
    viewer : Viewer
        To add them to.
    made : Focused
        What was made.
    sources : sequence of Image or None
        The layer of the stack, or that of each plane; None for one that is gone. The image looks as
        the layer of the plane does by now whose pixels it has, with the contrast of all of them.
    """
    there = [each for each in sources if each is not None and each in viewer.layers]
    top = max(there, key=viewer.layers.index, default=None)
    told = made.image["metadata"]["mdeblurgan"]["focus"]["source"]
    earlier = [each for each in viewer.layers if source_name_of(each) == told]
    like = sources[made.reference if len(sources) > 1 else 0]
    look = looking_like(made.image, like) if like in there else made.image
    if len(sources) > 1:
        whole = len(there) == len(sources)
        begun_with = {name: made.image[name] for name in CONTRAST if name in made.image}
        look = {**look, **(contrast_of_all(there) if whole else begun_with)}
    image = _added(viewer, dict(look), top, earlier)
    for arguments in made.maps:
        show_name_and_colours(_added(viewer, arguments, image))
    if not hides_what_is_below(image):
        for source in there:
            show_alone(source, visible=False)
    return image


def _added(
    viewer: Viewer, arguments: dict, above: Image | None, earlier: Sequence[Layer] = ()
) -> Image:
    keywords = {name: value for name, value in arguments.items() if name != "data"}
    return add_layer(viewer, arguments["data"], keywords, above, earlier)
