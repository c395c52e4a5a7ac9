"""Pictures of Only here: `python docs/screenshots_shapes.py [FOLDER]`, on a (virtual) screen.

Opens the bundled leaf in colour and restores three shapes of it. All pictures go into FOLDER, if
one is given; those of the documentation go into docs/images, reduced.
"""

from __future__ import annotations

import os

os.environ["NAPARI_CONFIG"] = (
    ""  # napari's settings stay in memory; it looks once, when it is imported
)

import sys
import tempfile
from pathlib import Path

import napari
import numpy as np
from screenshots import (
    IMAGES,
    WINDOW,
    open_widget,
    register_plugin,
    save_small,
    shoot,
    wait_until,
    without_the_users_own,
)

LARGEST_BYTES = 240_000
SHAPES = {  # corners as shares of the height and width
    "rectangle": [(0.15, 0.1), (0.15, 0.4), (0.45, 0.4), (0.45, 0.1)],
    "polygon": [(0.2, 0.55), (0.1, 0.8), (0.5, 0.9), (0.6, 0.6), (0.4, 0.7)],
    "ellipse": [(0.6, 0.1), (0.6, 0.45), (0.9, 0.45), (0.9, 0.1)],
}
DOCUMENTED = {"shapes-1-after": "only-here"}


def main(folder: Path) -> None:
    """Save all pictures in `folder`, and those of the documentation in docs/images."""
    folder.mkdir(parents=True, exist_ok=True)
    register_plugin()
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*WINDOW)
    widget = open_widget(viewer)
    viewer.open_sample("napari-mdeblurgan", "brightfield")
    (image,) = viewer.layers
    size = np.array(image.data.shape[:2])
    shapes = viewer.add_shapes(
        [np.array(corners) * size for corners in SHAPES.values()],
        shape_type=list(SHAPES),
        name="Shapes",
        scale=image.scale,
        units=image.units,
        face_color="transparent",
        edge_color="yellow",
        edge_width=3,
    )
    viewer.layers.selection.active = image
    widget.controls.trust.value = False
    widget.only_here.box.value = shapes
    shoot(
        viewer, folder / "shapes-0-unfitted.png"
    )  # the window has its size when it has been drawn
    viewer.fit_to_view()
    widget.controls.run.native.click()
    wait_until(lambda: not widget.running)
    shoot(viewer, folder / "shapes-1-after.png")
    viewer.close()
    IMAGES.mkdir(exist_ok=True)
    for name, documented in DOCUMENTED.items():
        save_small(folder / f"{name}.png", IMAGES / f"{documented}.png", LARGEST_BYTES)


if __name__ == "__main__":
    if len(sys.argv) > 2 or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit("usage: python docs/screenshots_shapes.py [FOLDER]")
    with tempfile.TemporaryDirectory() as empty:
        without_the_users_own(Path(empty))
        main(Path(sys.argv[1]) if len(sys.argv) == 2 else Path(empty, "shots"))
