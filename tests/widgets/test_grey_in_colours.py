"""RGB layers without a colour in **Deblur + SR**."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer

    Noise = Callable[..., np.ndarray]

GREY, COLOUR = "tiny-grey", "tiny-colour"


def test_the_grey_model_is_chosen_and_the_result_is_as_the_image(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    image = noise(40, 36)
    layer = viewer.add_image(np.stack([image] * 3, axis=-1), rgb=True, name="cells")
    assert widget.controls.model.value == GREY
    assert set(widget.controls.model.choices) >= {GREY, COLOUR}
    run()
    result = viewer.layers[-1]
    assert result.rgb
    expected = restore(image, load_model(GREY), device="cpu")
    np.testing.assert_allclose(result.data, np.stack([expected] * 3, axis=-1), atol=1)
    assert widget.controls.image.value is layer


def test_a_model_for_colours_can_be_chosen_for_them(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    image = np.stack([noise(40, 36)] * 3, axis=-1)
    viewer.add_image(image, rgb=True)
    widget.controls.model.value = COLOUR
    run()
    np.testing.assert_allclose(
        viewer.layers[-1].data, restore(image, load_model(COLOUR), device="cpu"), atol=1
    )


def test_of_the_images_that_are_selected_each_has_the_model_for_its_kind(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    image, coloured = noise(40, 36), noise(40, 36, 3)
    layers = [
        viewer.add_image(np.stack([image] * 3, axis=-1), rgb=True, name="grey"),
        viewer.add_image(coloured, rgb=True, name="coloured"),
    ]
    viewer.layers.selection = set(layers)
    run()
    results = {layer.name: layer.data for layer in viewer.layers if layer not in layers}
    assert len(results) == 2
    for name, data in results.items():
        model = load_model(GREY if "grey" in name else COLOUR)
        source = layers[0].data if "grey" in name else coloured
        np.testing.assert_allclose(data, restore(source, model, device="cpu"), atol=1)


def test_a_layer_that_gets_colours_is_looked_at_anew(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    layer = viewer.add_image(np.stack([noise(40, 36)] * 3, axis=-1), rgb=True)
    assert widget.controls.model.value == GREY
    other = viewer.add_image(noise(40, 36))
    layer.data = noise(40, 36, 3)
    assert widget.image is other
    viewer.layers.selection.active = layer
    assert widget.controls.model.value == COLOUR


def test_what_is_read_on_demand_is_not_looked_at(viewer: Viewer, widget: DeblurWidget) -> None:
    read = []

    def block(block_info) -> np.ndarray:
        read.append(block_info)
        return np.full((32, 32, 3), 7, np.uint8)

    lazy = da.map_blocks(
        block, chunks=((32,) * 4, (32,), (3,)), dtype=np.uint8, meta=np.empty((0, 0, 0), "u1")
    )
    viewer.add_image(lazy, rgb=True, contrast_limits=(0, 255))
    shown = len(read)
    assert widget.controls.model.value == COLOUR
    assert len(read) == shown
