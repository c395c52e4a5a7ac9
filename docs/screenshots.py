"""Pictures of the dock widget at work: `python docs/screenshots.py [FOLDER]` on a (virtual) screen,
such as `xvfb-run -a`.

Opens each bundled sample and saves the window before, during and after it is restored by the
bundled models, as a preview and in whole, all at one place and magnification. All pictures go into
FOLDER, if one is given; those of the documentation go into docs/images, reduced.
"""

from __future__ import annotations

import os

os.environ["NAPARI_CONFIG"] = (
    ""  # napari's settings stay in memory; it looks once, when it is imported
)

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import napari
from napari.settings import get_settings
from npe2 import PluginManager, PluginManifest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

import napari_mdeblurgan
from napari_mdeblurgan.restoration import checking
from napari_mdeblurgan.widgets.deblur import DeblurWidget

Dock = TypeVar("Dock")

SAMPLES = {
    "brightfield": (0.46, 0.71),
    "fluorescence": (0.5, 0.5),
}  # what to look at, as a share of the height and width
ZOOM = 2.5
TILE = 128  # the samples are small, and the bar shall have some way to go
WINDOW = (1080, 720)
PATIENCE_S = 600.0
IMAGES = Path(__file__).resolve().with_name("images")
DOCUMENTED = {
    "palette-1-found": "palette",
    "fluorescence-1-before": "deblur-before",
    "fluorescence-3-during": "deblur-during",
    "fluorescence-4-after": "deblur-after",
    "fluorescence-6-trust": "trust-widget",
    "fluorescence-7-curtain": "compare-curtain",
    "fluorescence-8-profile": "line-profile",
    "brightfield-4-after": "deblur-colour-after",
}
LARGEST_BYTES = 450_000
MOVING = (  # pictures of the moving one, and for how many milliseconds each is shown
    ("fluorescence-1-before", 1800),
    ("fluorescence-3-during", 1200),
    ("fluorescence-4-after", 2200),
    ("fluorescence-5-compared", 1200),
    ("fluorescence-4-after", 1600),
    ("fluorescence-6-trust", 2200),
)
MOVING_WIDTH, MOVING_COLOURS = 864, 96
COLOURS = 256


def main(folder: Path) -> None:
    """Save all pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    register_plugin()
    checking.fitting_tile = lambda *_, **__: TILE
    for sample, place in SAMPLES.items():
        viewer = napari.Viewer(show=True)
        viewer.window._qt_window.resize(*WINDOW)
        widget = open_widget(viewer)
        shoot(viewer, folder / f"{sample}-0-empty.png")
        viewer.open_sample("napari-mdeblurgan", sample)
        wait_until(lambda widget=widget: len(widget.controls.device.choices) > 1)
        look_at(viewer, place)
        shoot(viewer, folder / f"{sample}-1-before.png")
        picture_run(viewer, widget, folder, sample)
        viewer.close()
    picture_palette(folder)
    IMAGES.mkdir(exist_ok=True)
    for name, documented in DOCUMENTED.items():
        save_small(folder / f"{name}.png", IMAGES / f"{documented}.png")
    save_moving(folder, IMAGES / "deblur.gif")


def save_moving(folder: Path, path: Path) -> None:
    """Save a GIF of what the widget does, from the pictures in `folder`."""
    height = MOVING_WIDTH * WINDOW[1] // WINDOW[0]
    frames = []
    for name, _ in MOVING:
        whole = (
            Image.open(folder / f"{name}.png")
            .convert("RGB")
            .resize((MOVING_WIDTH, height), Image.Resampling.LANCZOS)
        )
        frames.append(whole.quantize(MOVING_COLOURS, dither=Image.Dither.NONE))
    durations = [milliseconds for _, milliseconds in MOVING]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True
    )


def without_the_users_own(folder: Path) -> None:
    """Let the plugin start as for the first time, with the bundled models alone, and napari in its
    dark theme.
    """
    get_settings().appearance.theme = "dark"
    os.environ["MDEBLURGAN_CONFIG"] = os.environ["MDEBLURGAN_MODELS"] = str(folder)


def register_plugin() -> None:
    """Make the plugin known where it is not installed."""
    plugins = PluginManager.instance()
    plugins.discover()
    manifest = PluginManifest.from_file(Path(napari_mdeblurgan.__file__).with_name("napari.yaml"))
    if manifest.name not in plugins:
        plugins.register(manifest)


def open_widget(viewer: napari.Viewer) -> DeblurWidget:
    """Open the dock widget as the menu does."""
    return opened_by(
        viewer,
        viewer.window.plugins_menu,
        ("M-Deblurgan", "Deblur + SR (M-Deblurgan)"),
        DeblurWidget,
    )


def opened_by(viewer: napari.Viewer, menu: Any, titles: Sequence[str], kind: type[Dock]) -> Dock:
    """The dock widget that the last of these entries, each in the menu of the one before, opens."""
    for title in titles:
        menu.aboutToShow.emit()
        action = next(
            action for action in menu.actions() if action.text().replace("&", "") == title
        )
        menu = action.menu()
    action.trigger()
    return next(w for w in viewer.window.dock_widgets.values() if isinstance(w, kind))


def look_at(viewer: napari.Viewer, place: tuple[float, float]) -> None:
    """Magnify the view around a place, given as a share of the height and width of all layers."""
    viewer.fit_to_view()
    low, high = viewer.layers.extent.world
    viewer.scene.camera.center = tuple(low + (high - low) * place)
    viewer.scene.camera.zoom *= ZOOM


def picture_run(viewer: napari.Viewer, widget: DeblurWidget, folder: Path, sample: str) -> None:
    """Restore the sample's layer, and save how that looks."""
    widget.controls.preview.native.click()
    wait_until(lambda: not widget.running)
    shoot(viewer, folder / f"{sample}-2-preview.png")
    viewer.layers.pop(1)
    widget.controls.run.native.click()
    wait_until(lambda: not widget.running or progress_of(widget) > 0.4)
    shoot(viewer, folder / f"{sample}-3-during.png", 0.05)
    wait_until(lambda: not widget.running)
    shoot(viewer, folder / f"{sample}-4-after.png")
    widget.controls.compare.native.click()
    shoot(viewer, folder / f"{sample}-5-compared.png")
    widget.controls.compare.native.click()
    widget.controls.maps.native.click()
    shoot(viewer, folder / f"{sample}-6-trust.png")
    widget.controls.maps.native.click()
    widget.controls.compare_by.value = "Curtain"
    shoot(viewer, folder / f"{sample}-7-curtain.png")
    widget.controls.compare_by.value = "Blink"
    viewer.window._qt_window.resize(WINDOW[0], WINDOW[1] + 110)  # the plot lies below the image
    widget.controls.profile.native.click()
    shoot(viewer, folder / f"{sample}-8-profile.png")


def picture_palette(folder: Path) -> None:
    """Open the widget by napari's command palette."""
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*WINDOW)
    viewer.open_sample("napari-mdeblurgan", "fluorescence")
    viewer.window._toggle_command_palette()
    line = viewer.window._qt_window._command_palette._line
    QTest.keyClicks(line, "deblur")
    shoot(viewer, folder / "palette-1-found.png")
    QTest.keyClicks(line, " sr")
    QTest.keyClick(line, Qt.Key.Key_Return)
    shoot(viewer, folder / "palette-2-opened.png")
    viewer.close()


def progress_of(widget: DeblurWidget) -> float:
    """How far the bar says that the work is, from 0 to 1."""
    bar = widget.controls.progress
    return bar.value / bar.max if bar.max else 0.0


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


def save_small(picture: Path, path: Path, largest: int = LARGEST_BYTES) -> None:
    """Save a copy without transparency, reduced where that takes more than `largest` bytes."""
    whole = Image.open(picture).convert("RGB")
    for percent in range(100, 30, -10):
        size = (whole.width * percent // 100, whole.height * percent // 100)
        reduced = whole.resize(size, Image.Resampling.LANCZOS)
        reduced.quantize(
            palette=reduced.quantize(COLOURS), dither=Image.Dither.FLOYDSTEINBERG
        ).save(path, optimize=True)
        if path.stat().st_size <= largest:
            break


if __name__ == "__main__":
    if len(sys.argv) > 2 or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit("usage: python docs/screenshots.py [FOLDER]")
    with tempfile.TemporaryDirectory() as empty:
        without_the_users_own(Path(empty))
        main(Path(sys.argv[1]) if len(sys.argv) == 2 else Path(empty, "shots"))
