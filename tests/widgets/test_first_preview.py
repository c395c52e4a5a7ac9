"""What the first preview takes is loaded while the user looks at the dock, so that it is as fast as
any other.
"""

from __future__ import annotations

import subprocess
import sys

SESSION = """
import sys
import napari
import numpy as np
from qtpy.QtTest import QTest
from napari_mdeblurgan.widgets.deblur import DeblurWidget


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return True
        QTest.qWait(20)
    return False


viewer = napari.Viewer(show=False)
viewer.add_image(np.random.default_rng(0).integers(0, 255, (40, 48)).astype(np.uint8))
widget = DeblurWidget(viewer)
viewer.window.add_dock_widget(widget)
assert "torch" not in sys.modules, "the dock waited for torch"
viewer.window.show()
assert wait_for(lambda: len(widget.controls.device.choices) > 1)
before = set(sys.modules)
widget.controls.preview.native.click()
assert wait_for(lambda: not widget.running)
assert len(viewer.layers) == 2, widget.controls.status.value
roots = "torch", "napari_mdeblurgan", "scipy", "skimage", "dask", "zarr", "safetensors"
print([name for name in sorted(set(sys.modules) - before) if name.partition(".")[0] in roots])
viewer.close()
"""


def test_first_preview_imports_nothing_any_more_and_opening_the_dock_waits_for_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SESSION], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
