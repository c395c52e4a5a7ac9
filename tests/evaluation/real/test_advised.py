"""Models are judged as the program advises."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.evaluation.real.contenders import model_contenders, on_grid
from napari_mdeblurgan.restoration.binning import binned
from napari_mdeblurgan.trust.domain import binning_for


def test_a_strongly_blurred_image_is_binned_as_much_as_is_advised() -> None:
    random = np.random.default_rng(0)
    cells = np.kron(random.random((20, 21)) > 0.6, np.ones((16, 16)))[:, :326]
    blurred = ndimage.gaussian_filter(cells, 7) * 200 + random.normal(20, 0.4, cells.shape)
    image, model = blurred.clip(0, 255).astype(np.uint8), load_model("gray-x2")
    assert binning_for(image, model.card) == 3
    *_, advised = model_contenders([("model", model)], halved=False, advised=True, device="cpu")
    assert advised.name == "model, as advised"
    result = advised.runs[""](image)
    assert result.shape == (640, 652)  # 320 and 326 make no whole blocks of 3
    own = restore(image, model, binning=3, device="cpu")
    np.testing.assert_allclose(binned(result[:636, :648], 3, rgb=False), own, atol=8)
    assert on_grid(result, image.shape).shape == image.shape
