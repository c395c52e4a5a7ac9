"""The models that ship do what they are for, on a micrograph that they were not trained on."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import GAUSSIAN
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.metrics import cropped, psnr, ssim
from napari_mdeblurgan.evaluation.protocol import BORDER, degraded
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.storage import read_image


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["rgb-x2", "gray-x2"])
def test_a_bundled_model_beats_bicubic(name: str, precision: str) -> None:
    model = load_model(name)
    leaf = read_image(sample_path("leaf_epidermis")).data[40:360, 40:360].astype(np.float32) / 255
    sharp = leaf if model.card.channels == 3 else np.ascontiguousarray(leaf[..., 1])
    blurred, _ = degraded(sharp, GAUSSIAN[2], 2)
    restored = cropped(restore(blurred, model, precision=precision).clip(0, 1), BORDER)
    plain, truth = cropped(bicubic(blurred).clip(0, 1), BORDER), cropped(sharp, BORDER)
    assert psnr(restored, truth) > psnr(plain, truth) + 3
    assert ssim(restored, truth) > ssim(plain, truth)


@pytest.mark.parametrize("name", ["rgb-x2", "gray-x2"])
def test_a_bundled_model_leaves_a_flat_area_flat(name: str) -> None:
    model = load_model(name)
    shape = (64, 64, 3)[: 2 + (model.card.channels == 3)]
    image = np.full(shape, 90, np.uint8)
    image[:20, :20] = 200
    flat = restore(image, model)[100:, 100:].astype(int)
    assert abs(flat - 90).max() <= 1  # of a step of 110
    assert (flat == 90).mean() > 0.99
