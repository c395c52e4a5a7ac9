"""A script of a user: opens all docks of the plugin in napari, and ends while PyTorch is being
loaded; never runs an event loop.

Takes how it ends: `close` closes the viewer first, `exit` leaves it open, `dock` closes each dock.
"""

from __future__ import annotations

import sys
import time

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

NAMES = ("Deblur + SR", "Batch", "Fine-tune", "Focus stack")
LOOKING_S = 0.3

viewer = napari.Viewer(show=True)
viewer.add_image(np.zeros((64, 64), np.float32))
docks = [viewer.window.add_plugin_dock_widget("napari-mdeblurgan", name)[0] for name in NAMES]
until = time.monotonic() + LOOKING_S
while time.monotonic() < until:
    QApplication.processEvents()
match sys.argv[1]:
    case "close":
        viewer.close()
    case "dock":
        for dock in docks:
            dock.close()
print("the script is through")
