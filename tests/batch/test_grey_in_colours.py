"""Files of grey images that are stored in colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.batch import batch_recipe
from napari_mdeblurgan.batch.manifest import MANIFEST, Manifest
from napari_mdeblurgan.storage import read_image

from .conftest import LARGE, grey, write


@pytest.mark.parametrize("large", [False, True])
def test_they_go_through_the_grey_model_and_stay_in_colours(
    restored, tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    own = str(models_folder / "tiny-3-x2.safetensors")
    monkeypatch.setattr(batch_recipe, "BUNDLED_FOR_COLOURS", own)
    without = np.stack([grey(24, 28).astype(np.uint8)] * 3, axis=-1)
    write(tmp_path / "a.tif", without, axes="YXS")
    write(tmp_path / "b.tif", without + np.uint8([0, 1, 0]), axes="YXS")
    batch = restored([tmp_path / "a.tif", tmp_path / "b.tif"], **(LARGE if large else {}))
    assert not batch.failures
    records = Manifest(tmp_path / "out" / MANIFEST).records
    assert [each.made.model for each in records.values()] == ["tiny-1-x2", "tiny-3-x2"]
    first, second = (read_image(path) for path in batch.outputs)
    assert (first.axes, second.axes) == ("YXS", "YXS")
    assert (first.data == first.data[..., :1]).all()
    assert (second.data != second.data[..., :1]).any()


def test_a_model_of_the_users_own_for_colours_is_kept(restored, tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.stack([grey(24, 28).astype(np.uint8)] * 3, axis=-1), axes="YXS")
    restored([tmp_path / "a.tif"])
    (record,) = Manifest(tmp_path / "out" / MANIFEST).records.values()
    assert record.made.model == "tiny-3-x2"
