"""Pictures of a scan that fills in, of the controls for stacks, and of the Batch widget in both
themes.

`python docs/screenshots_scan.py [FOLDER]` on a (virtual) screen, such as `xvfb-run -a`; see
`screenshots.py`.
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
from screenshots import (
    IMAGES,
    WINDOW,
    open_widget,
    progress_of,
    register_plugin,
    save_small,
    shoot,
    wait_until,
    without_the_users_own,
)

from napari_mdeblurgan.restoration import checking
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs import trust
from napari_mdeblurgan.widgets.runs.trust import CHECKING

SCAN = (3072, 4608)  # made from mirror images of the sample
PLACE = (2500, 3800)  # looked at while the scan fills in, far from where it begins
ZOOM = 1.0
TILE = 512  # small for so small a scan, so that it fills in piece by piece
LARGEST_BYTES = 300_000
DOCUMENTED = {
    "scan-2-view-first": "scan-view-first",
    "scan-3-middle": "scan-middle",
    "scan-6-trust": "scan-trust",
    "stack": "stack-controls",
    "batch-dark": "batch-dark",
}


def main(folder: Path) -> None:
    """Save all pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    register_plugin()
    checking.fitting_tile = lambda *_, **__: TILE
    picture_scan(folder)
    picture_stack(folder)
    for theme in ("dark", "light"):
        picture_batch(folder, theme)
    IMAGES.mkdir(exist_ok=True)
    for name, documented in DOCUMENTED.items():
        save_small(folder / f"{name}.png", IMAGES / f"{documented}.png", LARGEST_BYTES)


def picture_scan(folder: Path) -> None:
    """A scan at its start, with the view done first, half done, done and being assessed, and with
    its maps.
    """
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*WINDOW)
    widget = open_widget(viewer)
    sample = read_image(sample_path("leaf_epidermis")).data
    space = [(0, max(length - own, 0)) for length, own in zip(SCAN, sample.shape, strict=False)]
    scan = np.pad(sample, [*space, (0, 0)], mode="symmetric")[: SCAN[0], : SCAN[1]]
    viewer.add_image(scan, rgb=True, name="leaf scan")
    widget.results.to_disk.value = True
    viewer.scene.camera.center, viewer.scene.camera.zoom = PLACE, ZOOM
    widget.controls.run.native.click()
    wait_until(lambda: widget.scans.open_path is not None)
    shoot(viewer, folder / "scan-1-start.png", 0.2)
    wait_until(lambda: progress_of(widget) > 0.3)
    shoot(viewer, folder / "scan-2-view-first.png", 1.5)
    viewer.fit_to_view()
    shoot(viewer, folder / "scan-3-middle.png", 1.0)
    wait_until(lambda: widget.controls.status.value.startswith(CHECKING))
    viewer.fit_to_view()
    shoot(viewer, folder / "scan-4-done.png")
    wait_until(lambda: progress_of(widget) > 0.4)
    shoot(viewer, folder / "scan-5-assessed.png", 0.2)
    wait_until(lambda: not widget.running and bool(widget.results.results))
    widget.controls.which_map.value = "consistency"
    widget.controls.maps.native.click()
    shoot(viewer, folder / "scan-6-trust.png")
    widget.controls.which_map.value = "choice"
    shoot(viewer, folder / "scan-7-choice.png")
    save_report(folder / "scan-report.html", widget)
    viewer.close()


def save_report(path: Path, widget: DeblurWidget) -> None:
    """Save the page as the button does."""
    trust.ask_for_report_path = lambda *_: path
    widget.controls.report.native.click()
    wait_until(lambda: "was saved as" in widget.controls.status.value)


def picture_stack(folder: Path) -> None:
    """The controls that a stack of several axes has."""
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*WINDOW)
    widget = open_widget(viewer)
    nuclei = read_image(sample_path("nuclei")).data[:200, :240]
    stack = np.stack(
        [[nuclei // (1 + z) for z in range(12)], [nuclei[::-1] // (12 - z) for z in range(12)]]
    )
    viewer.add_image(stack, name="cells", axis_labels=("c", "z", "y", "x"))
    widget.slices.ranges[1].value = (3, 8)
    widget.results.to_disk.value = True
    shoot(viewer, folder / "stack.png")
    viewer.close()


def picture_batch(folder: Path, theme: str) -> None:
    """The Batch widget with a damaged file, after its work."""
    with tempfile.TemporaryDirectory() as place:
        inputs = Path(place, "plate 7")
        inputs.mkdir()
        nuclei, leaf = (read_image(sample_path(name)).data for name in ("nuclei", "leaf_epidermis"))
        for number in range(4):
            part = nuclei[60 * number : 60 * number + 60, :160]
            write_image(inputs / f"well A{number + 1}.tif", Micrograph(part, "YX"))
        write_image(inputs / "overview.png", Micrograph(leaf[:120, :160], "YXS"))
        (inputs / "well A2b.tif").write_bytes((inputs / "well A2.tif").read_bytes()[:2000])
        get_settings().appearance.theme = theme
        viewer = napari.Viewer(show=True)
        viewer.window._qt_window.resize(*WINDOW)
        widget = BatchWidget(viewer)
        viewer.window.add_dock_widget(widget, name="Batch (M-Deblurgan)")
        widget.add(str(inputs))
        widget.controls.output.value = str(Path(place, "sharp"))
        widget.controls.trust.value = True
        widget.controls.run.native.click()
        wait_until(lambda: not widget.running)
        shoot(viewer, folder / f"batch-{theme}.png", 2.0)
        viewer.close()
        get_settings().appearance.theme = "dark"


if __name__ == "__main__":
    if len(sys.argv) > 2 or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit("usage: python docs/screenshots_scan.py [FOLDER]")
    with tempfile.TemporaryDirectory() as empty:
        without_the_users_own(Path(empty))
        os.environ["MDEBLURGAN_CACHE"] = empty
        main(Path(sys.argv[1]) if len(sys.argv) == 2 else Path(empty, "shots"))
