"""An image of two channels that lies somewhere, and a batch of it in every route, for what all
routes have to give alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.batch import BatchSettings, open_batch
from napari_mdeblurgan.commands import common
from napari_mdeblurgan.storage import Micrograph, read_image, write_image

FORMS = ("ome-tiff", "ome-zarr")
ROUTES = ("in memory", "streamed", "cluster")


def write_source(folder: Path) -> Path:
    """The file of such an image, in a folder of its own."""
    data = np.random.default_rng(0).integers(100, 4000, (2, 121, 146)).astype(np.uint16)
    image = Micrograph(
        data, "CYX", {"X": 0.5, "Y": 0.25}, "µm", ("DAPI", "GFP"), position={"X": 3.0, "Y": 1.0}
    )
    (folder / "in").mkdir()
    write_image(folder / "in" / "cells.ome.tif", image)
    return folder / "in" / "cells.ome.tif"


def batched(
    source: Path, output: Path, form: str, route: str, request: pytest.FixtureRequest, **wishes: Any
) -> Micrograph:
    """The result of a batch that has come to its whole end without a failure."""
    settings = BatchSettings(
        grey_model=common.GREY_MODEL,
        rgb_model=common.COLOUR_MODEL,
        format=form,
        device="cpu",
        precision="float32",
        large_bytes=2**30 if route == "in memory" else 1000,
        scheduler=request.getfixturevalue("cluster_address") if route == "cluster" else None,
        **wishes,
    )
    with open_batch([source], output, settings) as batch:
        last = [step.fraction for step in batch.steps()][-1]
    assert not batch.failures
    assert last == 1
    return read_image(batch.outputs[0])
