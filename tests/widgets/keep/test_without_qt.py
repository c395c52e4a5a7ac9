"""Without Qt, napari opens and saves what it does with it: a viewer's model needs none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys

class NoQt:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PyQt5", "PyQt6", "PySide2", "PySide6"):
            raise ImportError(name)

sys.meta_path.insert(0, NoQt())
import numpy as np
from napari.components import ViewerModel
from npe2 import PluginManager
from napari_mdeblurgan import load_model
from napari_mdeblurgan.pipeline import carry_out
from napari_mdeblurgan.request import Request
from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.steps import finished
from pathlib import Path

pixels = np.random.default_rng(0).integers(0, 255, (20, 24), dtype=np.uint8)
image = Micrograph(pixels, "YX", {"X": 0.5, "Y": 0.5}, "µm")
write_image("image.ome.tif", image)
finished(carry_out(image, load_model("gray-x2"), Request(output=Path("sharp.ome.tif"))))
PluginManager.instance().discover()
viewer = ViewerModel()
for name in ("image.ome.tif", "sharp.ome.tif"):
    viewer.open(name, plugin="napari-mdeblurgan")
viewer.open_sample("napari-mdeblurgan", "smear")
viewer.layers["image"].save("other.ome.tif")
viewer.layers["sharp"].save("result.ome.tif")
viewer.layers["sharp"].save("result.ome.zarr")
(result,) = viewer.open("result.ome.zarr", plugin="napari-mdeblurgan")
print(result.scale.tolist())
"""


def test_files_are_opened_and_saved(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[0.25, 0.25]"
    assert {"other.ome.tif", "result.ome.tif"} <= {each.name for each in tmp_path.iterdir()}
