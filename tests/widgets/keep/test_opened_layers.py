"""Layers of every kind through a file and back, in memory and read when they are shown, without a
window.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.widgets.keep.kept_result import kept_result, save_kept
from napari_mdeblurgan.widgets.keep.opened_layers import _windows_told, layers_in
from tests.widgets.keep.conftest import assert_same

MADE = {
    "model": "m",
    "scale": 2,
    "softness": 0.5,
    "window": [(0.0, 1.0)],
    "trust": {"sentence": "Good.", "softness": 0.5},
}
PLANE = {"scale": (0.25, 0.5), "translate": (3, 4.1), "units": "µm"}
LAYERS: dict[str, list[tuple[tuple[int, ...], str, dict[str, Any]]]] = {
    "grey": [((80, 96), "uint8", PLANE | {"colormap": "magenta", "contrast_limits": (10, 200)})],
    "mirrored": [
        (
            (80, 96),
            "uint8",
            {"scale": (0.25, -0.5), "translate": (3, 4.1), "units": "nm", "colormap": "viridis"},
        )
    ],
    "turned": [((80, 96), "uint8", {"rotate": 30, "scale": (2, 2), "units": "µm"})],
    "sheared": [((80, 96), "uint8", {"shear": (0.2,), "scale": (2, 2)})],
    "16 bits": [((80, 96), "uint16", {})],
    "real numbers": [((80, 96), "float32", {"translate": (5, 7), "gamma": 0.7, "opacity": 0.5})],
    "colour": [((80, 96, 3), "uint8", PLANE)],
    "opacity": [((80, 96, 4), "uint8", PLANE)],
    "channels": [
        (
            (3, 80, 96),
            "uint8",
            {
                "scale": (1, 0.25, 0.5),
                "units": ("pixel", "µm", "µm"),
                "axis_labels": ("c", "y", "x"),
            },
        )
    ],
    "stack": [
        (
            (3, 80, 96),
            "uint8",
            {"scale": (2, 0.25, 0.5), "units": "µm", "axis_labels": ("z", "y", "x")},
        )
    ],
    "one plane": [((1, 80, 96), "uint8", {"scale": (2, 0.25, 0.5), "translate": (8, 0, 0)})],
    "time": [
        (
            (2, 3, 80, 96),
            "uint8",
            {
                "scale": (7, 2, 0.25, 0.5),
                "translate": (9, 1, 2, 3),
                "axis_labels": ("t", "z", "y", "x"),
                "units": ("second", "µm", "µm", "µm"),
            },
        )
    ],
    "other order": [
        (
            (80, 3, 96),
            "uint8",
            {"scale": (0.25, 2, 0.5), "axis_labels": ("y", "z", "x"), "units": "µm"},
        )
    ],
    "channels of a run": [
        (
            (80, 96),
            "uint8",
            PLANE | {"colormap": colour, "contrast_limits": (number, 200), "blending": "additive"},
        )
        for number, colour in enumerate(("blue", "green", "magma"))
    ],
}


@pytest.mark.parametrize("in_memory_bytes", [0, 2**28])
@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("kind", LAYERS)
def test_layers_come_back_as_they_were_saved(
    tmp_path: Path, kind: str, ending: str, in_memory_bytes: int
) -> None:
    random = np.random.default_rng(0)
    saved = [
        Image(
            random.integers(0, 255, shape).astype(dtype),
            name=f"layer {number} [sharp ×2]",
            metadata={"mdeblurgan": {**MADE, "source": f"layer {number}"}},
            rgb=kind in ("colour", "opacity"),
            **attributes,
        )
        for number, (shape, dtype, attributes) in enumerate(LAYERS[kind])
    ]
    path = tmp_path / f"a{ending}"
    kept = kept_result([layer.as_layer_data_tuple() for layer in saved], path)
    save_kept(kept, path, replace=False, tell=lambda _: None)
    viewer = ViewerModel()
    opened = layers_in(path, in_memory_bytes)
    assert all(isinstance(data, np.ndarray) == bool(in_memory_bytes) for data, _, _ in opened)
    again = [layer for each in opened for layer in viewer._add_layer_from_data(*each)]
    for one, other in zip(saved, again, strict=True):
        assert_same(one, other)
        assert other.metadata["mdeblurgan"].get("file") == (None if in_memory_bytes else str(path))


@pytest.mark.parametrize("sigma", [1e-300, 10**400, -1, float("nan"), "0.5", None])
def test_a_softness_that_cannot_be_shown_leaves_the_pixels_as_they_are(
    tmp_path: Path, sigma: object
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (80, 96)).astype(np.uint8)
    record = {"version": 1, "layers": [{"made": {**MADE, "shown_softened": sigma}}]}
    write_image(tmp_path / "a.ome.tif", Micrograph(pixels, "YX", restored=True, provenance=record))
    ((data, _, _),) = layers_in(tmp_path / "a.ome.tif", 2**28)
    assert np.array_equal(data, pixels)


@pytest.mark.parametrize(
    ("axes", "leading", "count", "index", "found"),
    [
        ("YX", (), 1, (), 0),
        ("CYX", (3,), 3, (2,), 2),
        ("CZYX", (2, 3), 2, (1, 2), 1),
        ("ZCYX", (3, 2), 2, (2, 1), 1),
        ("TCYX", (2, 2), 2, (0, 1), 1),
        ("CZYX", (2, 3), 6, (1, 1), 4),
    ],
)
def test_each_image_has_the_window_of_its_channel(
    axes: str, leading: tuple[int, ...], count: int, index: tuple[int, ...], found: int
) -> None:
    made = {"scale": 1, "window": [[number, number + 10] for number in range(count)]}
    windows = _windows_told(made, axes, leading)
    assert windows is not None
    assert windows(index).low == found


@pytest.mark.parametrize("pair", [[0, 10**400], [0, float("nan")], [0], "ab", [0, "1"]])
def test_windows_that_are_none_are_passed_over(pair: object) -> None:
    assert _windows_told({"scale": 1, "window": [pair]}, "YX", ()) is None
