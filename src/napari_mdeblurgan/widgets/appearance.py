"""How a layer looks, copied so that a restored layer looks like its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Image

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


def appearance_of(layer: Image) -> dict[str, Any]:
    """Attributes that make another image look like `layer`; all but `contrast_limits_range` are keywords of `Image` too."""
    look = {name: getattr(layer, name) for name in FOLLOWED}
    if not layer.rgb:
        look["colormap"] = layer.colormap
        look["contrast_limits"] = tuple(layer.contrast_limits)
        look["contrast_limits_range"] = tuple(layer.contrast_limits_range)
    return look


def hides_what_is_below(layer: Image) -> bool:
    """Whether nothing shines through `layer`, so that its source may stay visible below it."""
    return layer.opacity == 1 and str(layer.blending) in ("opaque", "translucent", "translucent_no_depth")
