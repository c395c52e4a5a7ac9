"""Files of microscopes, opened in napari by this plugin's reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.widgets.keep import opened_layers
from napari_mdeblurgan.widgets.keep.reader import get_reader, read_layers
from tests.storage.test_czi import BLOCK, XML, Part, planes, write_czi

if TYPE_CHECKING:
    from napari import Viewer


def test_a_file_becomes_a_layer_for_each_channel_with_its_scale_and_colour(
    viewer: Viewer, tmp_path: Path
) -> None:
    data, parts = planes()
    path = write_czi(tmp_path / "cells.czi", parts, XML)
    layers = viewer.open(path, plugin="napari-mdeblurgan")
    assert [layer.name for layer in layers] == ["DAPI", "GFP"]
    for number, layer in enumerate(layers):
        np.testing.assert_array_equal(np.asarray(layer.data), data[:, :, number])
        np.testing.assert_allclose(layer.scale, (2.5, 0.5, 0.2, 0.1))
        assert [str(unit) for unit in layer.units] == [
            "second",
            "micrometer",
            "micrometer",
            "micrometer",
        ]
    np.testing.assert_allclose(layers[1].colormap.colors[-1][:3], (0, 1, 0))
    np.testing.assert_allclose(layers[0].contrast_limits, (6553.5, 32767.5))
    assert [str(layer.blending) for layer in layers] == ["additive", "additive"]


def test_every_scene_becomes_a_layer(viewer: Viewer, tmp_path: Path) -> None:
    path = write_czi(tmp_path / "a.czi", [Part(BLOCK + s, {"S": s}) for s in range(2)], XML)
    layers = viewer.open(path, plugin="napari-mdeblurgan")
    assert [layer.name for layer in layers] == ["a P1", "a P2"]
    np.testing.assert_array_equal(np.asarray(layers[1].data), BLOCK + 1)


def test_what_cannot_be_shown_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_czi(tmp_path / "a.czi", [Part(BLOCK + s, {"S": s}) for s in range(2)])
    assert get_reader(str(path)) is read_layers
    with pytest.raises(
        FileError, match=r"a\.czi has planes of 0 MiB, too large to be shown without a pyramid"
    ):
        opened_layers.layers_in(path, 100)
    monkeypatch.setattr(opened_layers, "MOST_IMAGES", 1)
    with pytest.raises(
        FileError,
        match=r"a\.czi holds 2 images, more than are opened at once; restore them by Batch\.$",
    ):
        read_layers(path)
    path.write_bytes(b"damaged")
    with pytest.raises(FileError, match=r"a\.czi is damaged"):
        read_layers(path)
