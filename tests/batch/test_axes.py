"""Files whose y and x are not the last axes, as their metadata tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.batch import BatchSettings, open_batch
from napari_mdeblurgan.storage import read_image

SIZES = {"t": 2, "c": 2, "z": 3, "y": 72, "x": 80}


def write_tiff(path: Path, image: np.ndarray, axes: str) -> None:
    metadata = {"axes": axes.upper(), "unit": "µm", "pixel_size": {"X": 0.5, "Y": 0.4}}
    tifffile.imwrite(path, image, photometric="minisblack", metadata=metadata)


def write_ome_zarr(path: Path, image: np.ndarray, axes: str) -> None:
    kinds = {"t": "time", "c": "channel"}
    described = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
    for axis in described:
        if axis["type"] == "space":
            axis["unit"] = "micrometer"
    scale = {"x": 0.5, "y": 0.4}
    transforms = [{"type": "scale", "scale": [scale.get(axis, 1.0) for axis in axes]}]
    multiscale = {
        "axes": described,
        "datasets": [{"path": "0", "coordinateTransformations": transforms}],
    }
    group = zarr.create_group(
        path, zarr_format=3, attributes={"ome": {"version": "0.5", "multiscales": [multiscale]}}
    )
    group.create_array("0", data=image, chunks=tuple(min(length, 32) for length in image.shape))


@pytest.mark.parametrize("large_bytes", [1, 2**30])
@pytest.mark.parametrize(
    ("kind", "axes"), [("tif", "yxz"), ("tif", "tyxc"), ("ome.zarr", "yxz"), ("ome.zarr", "tczxy")]
)
def test_results_have_y_and_x_last_and_the_same_pixels(
    settings: Callable[..., BatchSettings], tmp_path: Path, kind: str, axes: str, large_bytes: int
) -> None:
    image = (
        np.random.default_rng(0).integers(0, 4000, [SIZES[axis] for axis in axes]).astype(np.uint16)
    )
    source = tmp_path / f"image.{kind}"
    (write_tiff if kind == "tif" else write_ome_zarr)(source, image, axes)
    order = "".join(axis for axis in "tczyx" if axis in axes)
    chosen = settings(format="ome-zarr", large_bytes=large_bytes, tile=64)
    with open_batch([source], tmp_path / "out", chosen) as batch:
        list(batch.steps())
    assert not batch.failures
    result = read_image(tmp_path / "out" / "image.ome.zarr")
    assert result.axes == order.upper()
    assert (result.pixel_size["X"], result.pixel_size["Y"], result.unit) == (0.25, 0.2, "µm")
    expected = restore(
        image.transpose([axes.index(axis) for axis in order]),
        load_model(chosen.grey_model),
        channel_axis=order.index("c") if "c" in order else None,
    )
    np.testing.assert_allclose(result.data.astype(int), expected.astype(int), rtol=0, atol=4)
