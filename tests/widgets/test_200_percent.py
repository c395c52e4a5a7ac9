"""On a screen of 200 % the mouse takes hold of what it points at, and the docks work on what is
seen there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SESSION = """
import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune.picture import Picture
from napari_mdeblurgan.widgets.layers.view import visible_region

LEFT, BEFORE, AFTER = Qt.MouseButton.LeftButton, 60, 200
SETTLED = 150  # ms
viewer = napari.Viewer(show=True)
viewer.window._qt_window.resize(1000, 620)
source = viewer.add_image(np.full((40, 60), BEFORE, np.uint8), name="a", contrast_limits=(0, 255))
made = {"source": "a", "preview": False, "scale": 2, "model": "gray-x2"}
place = {"scale": (0.5, 0.5), "translate": (-0.25, -0.25), "contrast_limits": (0, 255)}
after = np.full((80, 120), AFTER, np.uint8)
viewer.add_image(after, name="a [sharp]", metadata={"mdeblurgan": made}, **place)
widget = DeblurWidget(viewer)
viewer.window.add_dock_widget(widget)
viewer.layers.selection.active = source
canvas = viewer.window._qt_viewer.canvas.native
assert canvas.devicePixelRatioF() == 2
QTest.qWait(100)
viewer.fit_to_view()


def drag(target, start, end):
    QTest.mouseMove(target, start)
    QTest.qWait(SETTLED)  # the screen tells of the pointer, too, and late on a busy machine
    QTest.mousePress(target, LEFT, pos=start)
    here = target.mapToGlobal(start)
    for part in (0.5, 1.0):
        QTest.mouseMove(target, target.mapFromGlobal(here + (end - start) * part))
        QTest.qWait(SETTLED)
    QTest.mouseRelease(target, LEFT, pos=target.mapFromGlobal(here + end - start))
    QTest.qWait(SETTLED)


def world(point):
    # the middle of the canvas shows the centre, and the width of the image as many of Qt's pixels
    # as it is magnified
    half = np.array([canvas.height(), canvas.width()]) / 2
    off = np.array([point.y(), point.x()]) - half
    return np.array(viewer.scene.camera.center[-2:]) + off / zoom


def shot():
    return viewer.window.screenshot(canvas_only=True, flash=False, size=None)[..., 0].astype(int)


columns = np.flatnonzero(shot()[canvas.height()] > 20)
zoom = len(columns) / 2 / 60.0

# the curtain lies where it is dragged, and before and after meet under it
widget.controls.compare_by.value = "Curtain"
line = widget.comparison.shown.line
drag(line, QPoint(line.width() // 2, 20), QPoint(line.width() // 2 + 90, 20))
at = round(canvas.width() / 2) + 90
assert abs(line.geometry().center().x() - at) <= 2, (line.geometry(), at)
seen = shot()[canvas.height()]
beside = seen[[2 * at - 30, 2 * at + 30]].tolist()
assert beside == [BEFORE, AFTER], beside
widget.controls.compare_by.value = "Blink"

# a shape that is drawn from here to there is what is restored
shapes = viewer.add_shapes(name="here")
shapes.mode = "add_rectangle"
middle = QPoint(canvas.width() // 2, canvas.height() // 2)
start, end = middle + QPoint(-60, -40), middle + QPoint(50, 30)
drag(canvas, start, end)
assert shapes.nshapes == 1
low, high = shapes.data[0].min(axis=0), shapes.data[0].max(axis=0)
assert np.abs(low - world(start)).max() < 0.5, (low, world(start))
assert np.abs(high - world(end)).max() < 0.5, (high, world(end))
widget.only_here.box.value = shapes
job = widget._orders.all_of([source])[0]
region = np.array(job.region).T
away = np.abs(region - 0.5 - [low, high]).max()
assert away <= 1, (region, low, high)

# the line of a profile is taken hold of at its end
viewer.layers.selection.active = source
QTest.mouseClick(widget.controls.profile.native, LEFT)
QTest.qWait(300)
profile = viewer.layers["Line profile"]
ends = profile.data[0].copy()
half = np.array([canvas.height(), canvas.width()]) / 2
centre = np.array(viewer.scene.camera.center[-2:])
y, x = ((ends[1] - centre) * viewer.scene.camera.zoom + half).round().astype(int)
drag(canvas, QPoint(x, y), QPoint(x - 40, y))
moved = profile.data[0]
assert np.abs(moved[0] - ends[0]).max() < 0.1, (moved, ends)
assert abs(ends[1][1] - moved[1][1] - 40 / viewer.scene.camera.zoom) < 0.5, (moved, ends)

# a preview shows what the canvas shows
viewer.scene.camera.zoom *= 4
QTest.qWait(50)
(y0, y1), (x0, x1) = visible_region(source, viewer, 2**40, (0, 1))[0]
shown = np.array([canvas.height(), canvas.width()]) / viewer.scene.camera.zoom
assert abs((x1 - x0) - min(shown[1], 60)) <= 3, (x0, x1, shown)
assert abs((y1 - y0) - min(shown[0], 40)) <= 3, (y0, y1, shown)

# a click on a panel enlarges it, each of its pixels on whole ones of the screen
picture = Picture("pairs")
picture.show_array(np.zeros((40, 60, 3), np.uint8))
picture.resize(300, 200)
picture.show()
QTest.mouseClick(picture, LEFT, pos=QPoint(150, 100))
QTest.qWait(50)
large = picture.enlarged.picture.pixmap()
assert large.devicePixelRatioF() == 2 and large.width() % 60 == 0
picture.close_enlarged()
viewer.close()
print("all right")
"""


def test_what_is_clicked_dragged_and_drawn_lies_where_it_is_seen(tmp_path: Path) -> None:
    at = {"QT_SCALE_FACTOR": "2", "NAPARI_CONFIG": "", "MDEBLURGAN_CONFIG": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SESSION],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | at,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all right"
