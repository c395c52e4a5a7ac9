"""A grey image for the command, and the one line that it says of what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.storage import Micrograph, write_image


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(100, 4000, (20, 24)).astype(np.uint16)
    write_image(tmp_path / "grey.tif", Micrograph(data, "YX", {"X": 0.5, "Y": 0.4}, "µm"))
    return tmp_path / "grey.tif"


def assert_one_line(error: str, *words: str) -> None:
    assert error.startswith("mdeblurgan: ")
    assert error.count("\n") == 1
    for word in words:
        assert word in error
