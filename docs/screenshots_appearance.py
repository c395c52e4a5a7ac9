"""All docks in the dark and the light theme, to look at: `python docs/screenshots_appearance.py
[FOLDER]`, on a (virtual) screen.

The environment variable QT_SCALE_FACTOR sets the size of letters and lines; it becomes a part of
the pictures' names. None of them is in the documentation: they show whether anything is cut off or
cannot be read.
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
from napari.settings import get_settings
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QScrollArea, QWidget
from screenshots import register_plugin, shoot, wait_until, without_the_users_own

from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget

WINDOW = (1100, 800)  # at factor 1
SCREEN = (1920, 1040)  # pixels that there are for it at larger factors
THEMES = ("dark", "light")


def main(folder: Path) -> None:
    """Save all pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    register_plugin()
    factor = os.environ.get("QT_SCALE_FACTOR", "1")
    size = [
        min(length, int(pixels / float(factor)))
        for length, pixels in zip(WINDOW, SCREEN, strict=True)
    ]
    nuclei = read_image(sample_path("nuclei")).data[:96, :96]
    for theme in THEMES:
        get_settings().appearance.theme = theme
        viewer = napari.Viewer(show=True)
        viewer.window._qt_window.resize(*size)
        viewer.add_image(
            np.stack([[nuclei] * 3] * 2), name="cells", axis_labels=("c", "z", "y", "x")
        )
        picture_deblur(viewer, folder, f"{theme}-{factor}")
        picture_batch(viewer, folder, f"{theme}-{factor}")
        picture_focus_stack(viewer, folder, f"{theme}-{factor}")
        picture_fine_tune(viewer, folder, f"{theme}-{factor}")
        viewer.close()


def picture_deblur(viewer: napari.Viewer, folder: Path, ending: str) -> None:
    """With the controls of a stack and of the results folder, with a result, its map, and before
    and after of it.
    """
    widget = DeblurWidget(viewer)
    dock = viewer.window.add_dock_widget(widget, name="Deblur + SR (M-Deblurgan)")
    widget.controls.this_slice.value = True
    widget.controls.run.native.click()
    wait_until(lambda: not widget.running)
    widget.controls.this_slice.value = False
    widget.results.to_disk.value = True
    shoot(viewer, folder / f"appearance-deblur-{ending}.png")
    widget.results.to_disk.value = False
    widget.controls.maps.native.click()
    for number, way in enumerate(widget.controls.compare_by.choices, 2):
        widget.controls.compare_by.value = way
        wait_until(lambda: False, 0.2)
        place = widget.native.findChild(QScrollArea)
        place.verticalScrollBar().setValue(place.verticalScrollBar().maximum())
        shoot(viewer, folder / f"appearance-deblur-{number}-{ending}.png")
    widget.controls.compare_by.value = "Blink"
    widget.controls.profile.native.click()
    shoot(viewer, folder / f"appearance-deblur-5-profile-{ending}.png")
    viewer.layers.remove("Line profile")
    viewer.window.remove_dock_widget(dock)


def picture_batch(viewer: napari.Viewer, folder: Path, ending: str) -> None:
    """With an image in the list."""
    widget = BatchWidget(viewer)
    native = widget if isinstance(widget, QWidget) else widget.native
    dock = viewer.window.add_dock_widget(widget, name="Batch (M-Deblurgan)")
    widget.add(str(sample_path("nuclei")))
    widget.controls.place.value = "Scheduler"
    shoot(viewer, folder / f"appearance-batch-{ending}.png")
    viewer.window.remove_dock_widget(dock)
    native.deleteLater()


def picture_focus_stack(viewer: napari.Viewer, folder: Path, ending: str) -> None:
    """With channels, a result, and another stack that can follow it."""
    widget = FocusStackWidget(viewer)
    dock = viewer.window.add_dock_widget(widget, name="Focus stack (M-Deblurgan)")
    stack = read_image(sample_path("smear_stack")).data[4:14:3, :96, :96]
    for name in ("the same smear in another colour", "smear"):
        viewer.add_image(
            np.stack([stack, 255 - stack]), name=name, axis_labels=("c", "z", "y", "x")
        )
    widget.register.setChecked(False)
    widget.step.setValue(1.5)
    widget.run.click()
    wait_until(lambda: not widget.running)
    viewer.layers["smear [height, µm]"].visible = True
    shoot(viewer, folder / f"appearance-focus-stack-{ending}.png")
    for layer in list(viewer.layers[1:]):
        viewer.layers.remove(layer)
    viewer.window.remove_dock_widget(dock)
    widget.deleteLater()


def picture_fine_tune(viewer: napari.Viewer, folder: Path, ending: str) -> None:
    """All three pages, the second with what is advanced."""
    widget = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Fine-tune (M-Deblurgan)")
    viewer.window._qt_window.resizeDocks([widget.parentWidget()], [400], Qt.Orientation.Horizontal)
    widget.training.advanced.setChecked(True)
    for page in range(widget.tabs.count()):
        widget.tabs.setCurrentIndex(page)
        shoot(viewer, folder / f"appearance-fine-tune-{page + 1}-{ending}.png")


if __name__ == "__main__":
    if len(sys.argv) > 2 or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit("usage: python docs/screenshots_appearance.py [FOLDER]")
    with tempfile.TemporaryDirectory() as empty:
        without_the_users_own(Path(empty))
        os.environ["MDEBLURGAN_CACHE"] = empty
        main(Path(sys.argv[1]) if len(sys.argv) == 2 else Path("shots"))
