"""What is read lazily is closed when nobody holds it any more."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import psutil
import tifffile

from napari_mdeblurgan.storage import open_image
from napari_mdeblurgan.storage.lazy_arrays import _OPEN_FILES

FILES = 3 * _OPEN_FILES


def test_many_files_are_read_with_a_few_of_them_open_at_a_time(tmp_path: Path) -> None:
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    paths = [tmp_path / f"{number}.tif" for number in range(FILES)]
    gc.disable()  # which would close them, but comes when it will
    try:
        for path in paths:
            tifffile.imwrite(path, pixels, compression="zlib")
            assert np.array_equal(np.asarray(open_image(path).data), pixels)
        held = {each.path for each in psutil.Process().open_files()} & set(map(str, paths))
        assert 0 < len(held) <= _OPEN_FILES
    finally:
        gc.enable()
