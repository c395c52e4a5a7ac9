"""Pictures of the widget Focus stack: `python docs/screenshots_focus.py [FOLDER]`, on a (virtual)
screen.

Opens the bundled focus stack, puts it together and goes on with Deblur + SR. All pictures go into
FOLDER, if one is given; those of the documentation go into docs/images, reduced.
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
from screenshots import (
    IMAGES,
    WINDOW,
    opened_by,
    register_plugin,
    save_small,
    shoot,
    wait_until,
    without_the_users_own,
)

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget

BLURRED = 3  # the plane that is shown before
STEP_UM = 0.5
LARGEST_BYTES = 240_000
DOCUMENTED = {
    "focus-1-before": "focus-stack-before",
    "focus-2-after": "focus-stack-after",
    "focus-3-height": "focus-stack-height",
}


def main(folder: Path) -> None:
    """Save all pictures in `folder`, and those of the documentation in docs/images."""
    folder.mkdir(parents=True, exist_ok=True)
    register_plugin()
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*WINDOW)
    viewer.open_sample("napari-mdeblurgan", "smear_stack")
    viewer.dims.set_current_step(0, BLURRED)
    widget = open_widget(viewer)
    widget.step.setValue(STEP_UM)
    widget.register.setChecked(False)
    widget.onward.setChecked(False)
    shoot(viewer, folder / "focus-1-before.png")
    widget.run.click()
    wait_until(lambda: not widget.running)
    shoot(viewer, folder / "focus-2-after.png")
    height = viewer.layers["smear_stack [height, µm]"]
    height.visible = True
    shoot(viewer, folder / "focus-3-height.png")
    picture_onward(viewer, widget, folder)
    viewer.close()
    IMAGES.mkdir(exist_ok=True)
    for name, documented in DOCUMENTED.items():
        save_small(folder / f"{name}.png", IMAGES / f"{documented}.png", LARGEST_BYTES)


def open_widget(viewer: napari.Viewer) -> FocusStackWidget:
    """Open the dock widget as the menu does."""
    return opened_by(
        viewer,
        viewer.window.layers_menu,
        ("Project", "Focus stack (M-Deblurgan)"),
        FocusStackWidget,
    )


def picture_onward(viewer: napari.Viewer, widget: FocusStackWidget, folder: Path) -> None:
    """Put it together once more, and go on with Deblur + SR."""
    for layer in list(viewer.layers[1:]):
        viewer.layers.remove(layer)
    widget.onward.setChecked(True)
    widget.run.click()
    wait_until(lambda: not widget.running)
    deblur = next(w for w in viewer.window.dock_widgets.values() if isinstance(w, DeblurWidget))
    shoot(viewer, folder / "focus-4-onward.png")
    wait_until(lambda: not deblur.running)
    shoot(viewer, folder / "focus-5-restored.png")


if __name__ == "__main__":
    if len(sys.argv) > 2 or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit("usage: python docs/screenshots_focus.py [FOLDER]")
    with tempfile.TemporaryDirectory() as empty:
        without_the_users_own(Path(empty))
        main(Path(sys.argv[1]) if len(sys.argv) == 2 else Path(empty, "shots"))
