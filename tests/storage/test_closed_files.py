"""What is read lazily is closed when nobody holds it any more."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import tifffile

from napari_mdeblurgan.storage.tiff.micromanager import open_tiff_file


def test_a_file_that_is_read_lazily_is_closed_when_nobody_holds_it(tmp_path: Path) -> None:
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="zlib")
    tif = open_tiff_file(tmp_path / "a.tif")
    handle = tif.filehandle
    store = tif.series[0].aszarr(level=0)
    del tif
    gc.collect()
    assert not handle.closed
    store.close()
    del store
    gc.collect()
    assert handle.closed
