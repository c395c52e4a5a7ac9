"""OME-Zarr whose codecs, or arrays, are not there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import open_image, read_image

IMAGE = np.arange(24 * 30, dtype=np.uint16).reshape(24, 30)
LEVEL = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}
AXES = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
READ = """
import sys
from napari_mdeblurgan.storage import open_image
print(open_image(sys.argv[1]).data.sum().compute())
"""


def written(path: Path, version: str = "0.4", codecs: object = "auto") -> Path:
    multiscales = [{"version": version, "axes": AXES, "datasets": [LEVEL]}]
    old = version == "0.4"
    group = zarr.create_group(str(path), zarr_format=2 if old else 3)
    group.create_array("0", data=IMAGE, compressors=codecs)
    told = {"multiscales": multiscales}
    group.attrs.update(told if old else {"ome": {"version": version, **told}})
    return path


def test_codecs_of_imagecodecs_are_known(tmp_path: Path) -> None:
    from imagecodecs.numcodecs import Jpegxl, register_codecs

    register_codecs(verbose=False)
    path = written(tmp_path / "a.zarr", codecs=[Jpegxl(lossless=True)])
    alone = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, text=True, check=True
    )
    assert int(alone.stdout) == IMAGE.sum()


@pytest.mark.parametrize("read", [read_image, open_image])
def test_an_unknown_codec_is_told_as_what_it_is(tmp_path: Path, read: type) -> None:
    file = written(tmp_path / "a.zarr") / "0" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"compressor": {"id": "mine"}}))
    with pytest.raises(FileError, match=r"zarr does not know \(.*mine.*install the package"):
        read(tmp_path / "a.zarr")


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_array_that_is_only_in_the_consolidated_metadata_is_missing(
    tmp_path: Path, version: str
) -> None:
    path = written(tmp_path / "a.zarr", version)
    zarr.consolidate_metadata(str(path), zarr_format=2 if version == "0.4" else 3)
    shutil.rmtree(path / "0")
    with pytest.raises(FileError, match=r"a\.zarr has no array 0, which its metadata name"):
        open_image(path)
