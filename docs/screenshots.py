"""Pictures of the dock widget at work: `python docs/screenshots.py FOLDER` on a (virtual) screen, such as `xvfb-run -a`.

Opens each bundled sample and saves the window before, during and after it is restored, as a preview and in whole.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
from npe2 import PluginManager, PluginManifest
from qtpy.QtWidgets import QApplication

import napari_mdeblurgan
from napari_mdeblurgan.widgets.deblur import DeblurWidget

SAMPLES = ("brightfield", "fluorescence")
WINDOW = (1280, 800)
PATIENCE_S = 600.0


def main(folder: Path) -> None:
    """Save all pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    register_plugin()
    for sample in SAMPLES:
        viewer = napari.Viewer(show=True)
        viewer.window._qt_window.resize(*WINDOW)
        widget = open_widget(viewer)
        shoot(viewer, folder / f"{sample}-0-empty.png")
        viewer.open_sample("napari-mdeblurgan", sample)
        wait_until(lambda widget=widget: len(widget.controls.device.choices) > 1)
        viewer.fit_to_view()
        shoot(viewer, folder / f"{sample}-1-before.png")
        picture_run(viewer, widget, folder, sample)
        viewer.close()


def register_plugin() -> None:
    """Make the plugin known where it is not installed."""
    plugins = PluginManager.instance()
    plugins.discover()
    manifest = PluginManifest.from_file(Path(napari_mdeblurgan.__file__).with_name("napari.yaml"))
    if manifest.name not in plugins:
        plugins.register(manifest)


def open_widget(viewer: napari.Viewer) -> DeblurWidget:
    """Open the dock widget as the menu does."""
    menu = viewer.window.plugins_menu
    menu.aboutToShow.emit()
    next(action for action in menu.actions() if action.text() == "Deblur + SR (M-Deblurgan)").trigger()
    return next(w for w in viewer.window.dock_widgets.values() if isinstance(w, DeblurWidget))


def picture_run(viewer: napari.Viewer, widget: DeblurWidget, folder: Path, sample: str) -> None:
    """Restore the sample's layer, and save how that looks."""
    viewer.scene.camera.zoom *= 3
    wait_until(lambda: False, 0.5)
    widget.controls.preview.native.click()
    wait_until(lambda: not widget.running)
    shoot(viewer, folder / f"{sample}-2-preview.png")
    viewer.fit_to_view()
    widget.controls.run.native.click()
    wait_until(lambda: not widget.running or widget.controls.progress.native.text().startswith("0 %"))
    shoot(viewer, folder / f"{sample}-3-during.png", 0.05)
    wait_until(lambda: not widget.running)
    viewer.scene.camera.zoom *= 3
    shoot(viewer, folder / f"{sample}-4-after.png")
    widget.controls.compare.native.click()
    shoot(viewer, folder / f"{sample}-5-compared.png")


def wait_until(ready: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Let the window live until `ready`, or until patience is at its end."""
    end = time.monotonic() + patience_s
    while not ready() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def shoot(viewer: napari.Viewer, path: Path, settle_s: float = 1.0) -> None:
    """Save a picture of the window once it has settled."""
    wait_until(lambda: False, settle_s)
    viewer.window.screenshot(str(path), canvas_only=False, flash=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/screenshots.py FOLDER")
    main(Path(sys.argv[1]))
