"""How a layer looks, copied so that a restored layer looks like its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.storage.display import DISPLAY_LEVELS, ChannelDisplay

if TYPE_CHECKING:
    from napari.layers import Image, Layer

FOLLOWED = (
    "rgb",
    "blending",
    "opacity",
    "gamma",
    "interpolation2d",
    "interpolation3d",
    "rendering",
    "depiction",
    "iso_threshold",
    "attenuation",
    "projection_mode",
)
CONTRAST = ("contrast_limits", "contrast_limits_range")
_LINK = "set_visible_on_layer_"  # how napari calls what passes this on to a linked layer


def appearance_of(layer: Image) -> dict[str, Any]:
    """Attributes that make another image look like `layer`; all but `contrast_limits_range` are
    keywords of `Image` too.
    """
    look = {name: getattr(layer, name) for name in FOLLOWED}
    look["custom_interpolation_kernel_2d"] = layer.custom_interpolation_kernel_2d
    look["contrast_limits"] = tuple(layer.contrast_limits)
    look["contrast_limits_range"] = tuple(layer.contrast_limits_range)
    return look if layer.rgb else look | {"colormap": layer.colormap}


def display_of(look: Mapping[str, Any], channels: int) -> tuple[ChannelDisplay, ...]:
    """How each channel of a layer is shown, as files tell it: all in the colours and limits of
    the layer; empty for colour images and where nothing is known.

    Parameters
    ----------
    look : mapping
        Attributes of the layer, as `appearance_of` gives them.
    channels : int
        How many channels its image has.
    """
    if look.get("rgb") or "colormap" not in look:
        return ()
    shown = ChannelDisplay.of(colour_table(look["colormap"]), look.get("contrast_limits"))
    return (shown,) * channels


def colour_table(colormap: Any) -> np.ndarray | None:
    """The lookup table of a colormap, (3, 256) uint8; None where nothing but its name is given."""
    known = colormap if isinstance(colormap, Mapping) else getattr(colormap, "__dict__", {})
    if "colors" not in known:
        return None
    colours = np.asarray(known["colors"], dtype=float)[:, :3]
    at = np.linspace(0, 1, DISPLAY_LEVELS)
    controls = known.get("controls")
    steps = (
        np.linspace(0, 1, len(colours))
        if controls is None or not len(controls)
        else np.asarray(controls, float)
    )
    if str(known.get("interpolation")) == "zero":  # a colour from each step to the next
        number = np.clip(np.searchsorted(steps, at, side="right") - 1, 0, len(colours) - 1)
        table = colours[number].T
    else:
        table = np.stack([np.interp(at, steps, colours[:, part]) for part in range(3)])
    return np.round(255 * np.clip(table, 0, 1)).astype(np.uint8)


def contrast_of_all(layers: Sequence[Image]) -> dict[str, Any]:
    """The contrast limits, and their range, that hold those of several layers, in `appearance_of`'s
    words.
    """
    return {
        name: (min(low for low, _ in spans), max(high for _, high in spans))
        for name in CONTRAST
        if (spans := [getattr(each, name) for each in layers])
    }


def looking_like(arguments: Mapping[str, Any], source: Image | None) -> Mapping[str, Any]:
    """Arguments of a layer that was made of `source`, so that it looks as that does by now: its
    contrast may have been set while the layer was made.
    """
    if source is None or source.rgb != arguments["rgb"]:
        return arguments
    look = appearance_of(source)
    if look["blending"] == "opaque" and arguments["metadata"]["mdeblurgan"].get("outline"):
        look["blending"] = arguments["blending"]  # a shape that was cut out hides nothing
    return {**arguments, **look}


def hides_what_is_below(layer: Image) -> bool:
    """Whether nothing shines through `layer`, so that its source may stay visible below it."""
    return layer.opacity == 1 and str(layer.blending) in (
        "opaque",
        "translucent",
        "translucent_no_depth",
    )


def show_alone(layer: Layer, *, visible: bool) -> None:
    """Show or hide a layer and none of those that the user has linked with it."""
    told = layer.events.visible
    with ExitStack() as blocked:
        for each in told.callbacks:
            if getattr(each, "__qualname__", "").startswith(_LINK):
                blocked.enter_context(told.blocker(each))
        layer.visible = visible


def show_name_and_colours(layer: Layer) -> None:
    """Have the canvas tell a map's name, which has its unit, and by a bar what the colours of an
    image stand for.
    """
    from napari.layers import Image

    if isinstance(layer, Image):
        layer.colorbar.visible = layer.colorbar.box = True
        layer.colorbar.position = "top_left"  # where one lies below the other
    layer.name_overlay.visible = layer.name_overlay.box = True
    layer.name_overlay.position = "top_left"
