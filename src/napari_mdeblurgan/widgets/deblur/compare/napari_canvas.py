"""napari's canvas, of which plugins are told nothing: looked up in one place, and done without
where it is not found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari import Viewer

NO_CANVAS = (
    "This version of napari does not let the plugin draw on its canvas: choose Blink, or "
    "update napari-mdeblurgan."
)


def canvas_of(viewer: Viewer) -> Any:
    """The canvas of a viewer: its Qt widget (`native`), its events, and the nodes of its layers
    (`layer_to_visual`).

    This is private to napari. There is no other way to its canvas, and its clipping planes do
    nothing in 2-D.

    Returns
    -------
    napari._vispy.canvas.VispyCanvas or None
        None where there is none, or it is another one than is known here.
    """
    window = getattr(
        getattr(viewer, "__wrapped__", viewer), "window", None
    )  # a plugin gets a proxy of the viewer
    canvas = getattr(getattr(window, "_qt_viewer", None), "canvas", None)
    known = all(hasattr(canvas, name) for name in ("native", "events", "layer_to_visual"))
    return canvas if known else None


def make_current(canvas: Any) -> None:
    """Let what is told to OpenGL next act on a canvas, if there is one.

    As a layer goes, napari tells it what to delete and to make, and takes the canvas for the one
    that is current. Where something lies on the canvas, that is another one, and napari crashes the
    next time it draws.
    """
    make = getattr(getattr(canvas, "native", None), "makeCurrent", None)
    if make is not None:
        make()
