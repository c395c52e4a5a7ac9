"""A session of napari in a process of its own, so that it can be killed: restores a scan to disk
and says how far it is.

Takes the name of the image's file and folders for results: one for each time that it is to be
restored.
"""

from __future__ import annotations

import sys

import napari
from qtpy.QtCore import QTimer

from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs import to_disk as scan
from napari_mdeblurgan.widgets.runs.runner import Runner

scan.SCAN_TILE = 128
source, *folders = sys.argv[1:]
viewer = napari.Viewer()
widget = DeblurWidget(viewer)
viewer.window.add_dock_widget(widget)
widget.controls.model.value = "tiny-grey"
widget.results.to_disk.value = True
viewer.open(source, plugin="napari", contrast_limits=(0, 255))
layer = viewer.layers[0]
on_step, on_end = widget._runner._on_step, widget._runner._on_end


def told(step: object) -> None:
    on_step(step)
    if isinstance(step, Progress):
        print(step.before, step.done, flush=True)


def ended(outcome: object) -> None:
    on_end(outcome)
    print(widget.controls.status.value, flush=True)
    begin()


def begin() -> None:
    if not folders:
        QTimer.singleShot(1000, viewer.close)  # what looks at the results folder ends before
        return
    viewer.layers.selection = {layer}
    widget.results.use(folders.pop(0))
    widget.controls.run.native.click()


widget._runner = Runner(told, ended)
begin()
napari.run()
