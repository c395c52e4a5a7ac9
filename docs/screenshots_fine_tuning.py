"""Pictures of the widget Fine-tune at each stage: `python docs/screenshots_fine_tuning.py SHARP
[FOLDER]`, on a (virtual) screen.

SHARP is a folder of sharp colour images. Each is what a ×10 objective sees of the middle of a
field; the whole field, out of focus, is made of it for a ×5 objective. The last pair is of two
different places, and refused.
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
import tifffile
from qtpy.QtCore import Qt
from scipy.ndimage import gaussian_filter
from screenshots import (
    IMAGES,
    WINDOW,
    register_plugin,
    save_small,
    shoot,
    wait_until,
    without_the_users_own,
)

from napari_mdeblurgan.training.data.dataset import image_files, read_sharp
from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget
from napari_mdeblurgan.widgets.fine_tune.widget import PAIRS_PAGE, TRAINING_PAGE

MINUTES = 3.0
FIELDS = 6
EDGE, HIGH = 60, (440, 600)
LARGE = (WINDOW[0] + 120, 860)
LARGEST_BYTES = 290_000
PATIENCE_S = 1800.0
DOCUMENTED = {
    "fine-tune-1-pairs": "fine-tune-pairs",
    "fine-tune-3-training": "fine-tune-training",
    "fine-tune-4-result": "fine-tune-result",
}


def main(sharp: Path, folder: Path) -> None:
    """Save all pictures in `folder`, and those of the documentation in docs/images."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    register_plugin()
    low, high = write_pairs(sharp.resolve(), folder)
    os.chdir(folder)  # so that the pictures show short names
    os.environ["MDEBLURGAN_MODELS"] = "models"
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*LARGE)
    widget = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Fine-tune (M-Deblurgan)")
    viewer.window._qt_window.resizeDocks([widget.parentWidget()], [470], Qt.Orientation.Horizontal)
    viewer.add_image(tifffile.imread(low / "field 1.tif"), name="field 1 (x5)")
    shoot(viewer, folder / "fine-tune-0-empty.png")
    sources = widget.pairs.sources
    sources.kind.setCurrentIndex(1)
    sources.low_folder.setText(low.name)
    sources.high_folder.setText(high.name)
    widget.register()
    wait_until(lambda: widget._registering is None, PATIENCE_S)
    widget.pairs.table.selectRow(0)
    shoot(viewer, folder / "fine-tune-1-pairs.png")
    widget.pairs.overlay_kind.setCurrentIndex(1)
    widget.pairs.table.selectRow(widget.pairs.table.rowCount() - 1)
    shoot(viewer, folder / "fine-tune-1b-refused.png")
    widget.tabs.setCurrentIndex(TRAINING_PAGE)
    widget.training.minutes.setValue(MINUTES)
    widget.training.advanced.setChecked(True)
    shoot(viewer, folder / "fine-tune-2-advanced.png")
    widget.training.advanced.setChecked(False)
    widget.start()
    wait_until(lambda: widget.bar.value() > 650 or not widget.running, PATIENCE_S)
    shoot(viewer, folder / "fine-tune-3-training.png")
    wait_until(lambda: not widget.running, PATIENCE_S)
    shoot(viewer, folder / "fine-tune-4-result.png")
    widget.use()
    shoot(viewer, folder / "fine-tune-5-used.png")
    widget.tabs.setCurrentIndex(PAIRS_PAGE)
    viewer.close()
    for name, documented in DOCUMENTED.items():
        save_small(folder / f"{name}.png", IMAGES / f"{documented}.png", LARGEST_BYTES)


def write_pairs(sharp: Path, folder: Path) -> tuple[Path, Path]:
    """Fields by both objectives: two folders of TIFFs; the last pair is of two places."""
    low, high = folder / "x5", folder / "x10"
    images = [read_sharp(path) for path in image_files(sharp)[: FIELDS + 1]]
    for number, image in enumerate(images[:-1], 1):
        height, width = (length // 2 * 2 for length in image.shape[:2])
        blurred = gaussian_filter(image[:height, :width], (3.0, 4.0, 0), mode="reflect")
        reduced = blurred.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
        noise = np.random.default_rng(number).normal(0, 0.004, reduced.shape)
        place = images[-1] if number == FIELDS else image
        _save(low / f"field {number}.tif", reduced + noise)
        _save(high / f"field {number}.tif", place[EDGE : EDGE + HIGH[0], EDGE : EDGE + HIGH[1]])
    return low, high


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, (255 * pixels).round().clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit("usage: python docs/screenshots_fine_tuning.py SHARP [FOLDER]")
    with tempfile.TemporaryDirectory() as empty:
        without_the_users_own(Path(empty))
        main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else Path(empty, "shots"))
