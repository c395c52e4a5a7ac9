"""Commands on grey images that are stored in colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.storage import Micrograph, read_image, write_image

pytestmark = pytest.mark.usefixtures("tiny_defaults")


@pytest.mark.parametrize("ending", [".png", ".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize(("tint", "model"), [(0, "tiny-1-x2"), (1, "tiny-3-x2")])
def test_restore_takes_the_grey_model_and_leaves_them_in_colours(
    run, tmp_path: Path, ending: str, tint: int, model: str
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 36, 1), np.uint8).repeat(3, axis=-1)
    image[-1, -1, 0] += np.uint8(tint)
    write_image(tmp_path / "cells.png", Micrograph(image, "YXS"))
    target = tmp_path / f"sharp{ending}"
    code, out, error = run("restore", tmp_path / "cells.png", target, "--device", "cpu")
    assert (code, error) == (0, "")
    assert model in out
    sharp = read_image(target)
    assert (sharp.axes, sharp.data.shape) == ("YXS", (80, 72, 3))
    assert bool((np.asarray(sharp.data) == np.asarray(sharp.data)[..., :1]).all()) is (tint == 0)
