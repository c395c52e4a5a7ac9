"""How late napari's event loop is while a scan is restored: `python benchmarks/event_loop.py
[--edge 8192] [--seconds 20]`.

Opens a window (on a virtual screen: `xvfb-run -a -s "-screen 0 1600x1000x24"`), restores a colour
scan into a cache folder of its own with a bundled model, and watches a timer of 10 ms: at rest,
zoomed out and zoomed in while the scan is restored, and while the view is moved twice a second as
well. "Late" is what a tick of the timer waited.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable

import numpy as np


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", type=int, default=8192, help="pixels of the scan along a side")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each of the four")
    parser.add_argument("--window", type=int, nargs=2, default=(1000, 700), help="width and height")
    wishes = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = ""
        os.environ["MDEBLURGAN_CONFIG"] = os.environ["MDEBLURGAN_CACHE"] = folder
        measure(wishes.edge, wishes.seconds, wishes.window)


def measure(edge: int, seconds: float, window: tuple[int, int]) -> None:
    """Print how late the loop is in each of the situations."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_mdeblurgan.widgets.deblur import DeblurWidget
    from tests.widgets.event_loop import watched

    def live(until: Callable[[], bool]) -> None:
        while not until():
            QApplication.processEvents()
            time.sleep(0.0005)

    def last(duration: float) -> Callable[[], bool]:
        end = time.perf_counter() + duration
        return lambda: time.perf_counter() > end

    def watch(name: str, act: Callable[[], None] = lambda: None) -> None:
        live(last(1.0))
        with watched() as late:
            end = last(seconds)
            while not end():
                act()
                live(last(0.5))
        p50, p95, p99, most = (1000 * np.percentile(late, share) for share in (50, 95, 99, 100))
        print(
            f"| {name} | {len(late)} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {most:.0f} |", flush=True
        )

    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*window)
    widget = DeblurWidget(viewer)
    viewer.window.add_dock_widget(widget)
    scan = np.random.default_rng(0).integers(0, 255, (edge, edge, 3)).astype(np.uint8)
    viewer.add_image(scan, rgb=True, name="scan", visible=False)
    widget.results.to_disk.value = True
    print(
        "| late, in ms | ticks | median | 95 % | 99 % | most |\n| --- | --- | --- | --- | --- | "
        "--- |"
    )
    watch("at rest")
    widget.controls.run.native.click()
    live(lambda: widget.scans.open_path is not None)
    watch("restoring")
    viewer.scene.camera.zoom *= 8
    watch("restoring, zoomed in")

    def move() -> None:
        *_, y, x = viewer.scene.camera.center
        viewer.scene.camera.center = (y + edge / 100, x - edge / 100)

    watch("restoring, moving twice a second", move)
    assert widget.running
    widget.cancel()
    live(lambda: not widget.running)
    viewer.close()


if __name__ == "__main__":
    main()
