"""Does the viewer stay usable while a model is fine-tuned? Delays of its event loop, with and
without a training beside it.

    xvfb-run -a python benchmarks/fine_tuning_delay.py [--seconds 30]

A timer is asked for every 10 ms; what it comes later than that is the delay. The pairs are made of
the bundled leaf, the model is the bundled one for colour, the widget is docked in a window that is
shown, and redraws its curves and its preview.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication
from scipy.ndimage import gaussian_filter

INTERVAL_MS = 10


def delays(seconds: float, alive) -> list[float]:  # type: ignore[no-untyped-def]
    """Of the event loop in ms, for so long or while `alive()`."""
    found: list[float] = []
    last = time.perf_counter()

    def note() -> None:
        nonlocal last
        now = time.perf_counter()
        found.append(max(0.0, 1000 * (now - last) - INTERVAL_MS))
        last = now

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(note)
    timer.start(INTERVAL_MS)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and alive():
        QApplication.processEvents()
        time.sleep(0.001)
    timer.stop()
    return found


def told(name: str, found: list[float]) -> None:
    middle, high, most = np.percentile(found, [50, 95, 100])
    print(
        f"{name:22} median {middle:5.1f} ms, 95th percentile {high:5.1f} ms, longest {most:6.1f} "
        f"ms, n = {len(found)}"
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    wishes = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MDEBLURGAN_CONFIG"] = os.environ["MDEBLURGAN_MODELS"] = folder
        os.environ["NAPARI_CONFIG"] = ""
        measure(wishes.seconds, Path(folder))


def measure(seconds: float, _: Path) -> None:
    from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget

    viewer = napari.Viewer(show=True)
    widget = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Fine-tune")
    leaf = np.asarray(
        Image.open(str(files("napari_mdeblurgan.samples") / "leaf_epidermis.png")).convert("RGB"),
        float,
    )
    leaf = leaf[: leaf.shape[0] // 2 * 2, : leaf.shape[1] // 2 * 2]
    height, width = (length // 2 for length in leaf.shape[:2])
    low = gaussian_filter(leaf, (3, 4, 0)).reshape(height, 2, width, 2, 3).mean(axis=(1, 3))
    viewer.add_image(low.astype(np.uint8), name="x5")
    viewer.add_image(leaf[20:-20, 20:-20].astype(np.uint8), name="x10")
    widget.register()
    delays(120, lambda: widget._registering is not None)
    told("nothing beside it", delays(seconds, lambda: True))
    widget.training.minutes.setValue(60)
    widget.start()
    delays(240, lambda: not widget.training.curves.losses)
    told("a training beside it", delays(seconds, lambda: widget.running))
    widget.stop()
    delays(120, lambda: widget.running)
    viewer.close()


if __name__ == "__main__":
    main()
