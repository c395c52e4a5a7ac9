"""Baselines and the Gaussian protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.evaluation.baselines import bicubic, gaussian_kernel, richardson_lucy_bicubic
from napari_mdeblurgan.evaluation.protocol import evaluate


def discs(edge: int = 96) -> np.ndarray:
    """Soft bright discs on a dark ground, float32 in [0, 1]."""
    y, x = np.mgrid[:edge, :edge]
    rings = 0.5 + 0.4 * np.tanh(4 * np.sin(np.hypot(y - 30, x - 40) / 3.0))
    return gaussian_filter(rings, 0.6).astype(np.float32)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_bicubic_keeps_a_plane_and_doubles_its_size(shape: tuple[int, ...]) -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 30, dtype=np.float32).reshape((1, 30) + (1,) * (len(shape) - 2)), shape)
    enlarged = bicubic(ramp)
    assert enlarged.shape == (40, 60, *shape[2:])
    steps = np.diff(enlarged[20], axis=0)[4:-4]
    np.testing.assert_allclose(steps, 0.5 / 29, atol=1e-6)


def test_the_kernel_sums_to_one_and_has_its_width() -> None:
    kernel = gaussian_kernel(1.5)
    offsets = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1)
    assert (kernel.sum(axis=0) * offsets**2).sum() == pytest.approx(1.5**2, rel=0.02)


def test_richardson_lucy_that_is_told_the_blur_beats_bicubic(tmp_path: Path) -> None:
    Image.fromarray((discs() * 255).round().astype(np.uint8)).save(tmp_path / "discs.png")
    methods = {"bicubic": lambda image, _: bicubic(image), "richardson-lucy": richardson_lucy_bicubic}
    scores = {(score.method, score.sigma): score for score in evaluate(tmp_path, methods, sigmas=(1.2, 2.0))}
    for sigma in (1.2, 2.0):
        assert scores["richardson-lucy", sigma].psnr_db > scores["bicubic", sigma].psnr_db + 1
        assert scores["richardson-lucy", sigma].ssim > scores["bicubic", sigma].ssim


def test_more_blur_is_harder(tmp_path: Path) -> None:
    Image.fromarray((discs() * 255).round().astype(np.uint8)).save(tmp_path / "discs.png")
    db = [score.psnr_db for score in evaluate(tmp_path, {"bicubic": lambda image, _: bicubic(image)})]
    assert db == sorted(db, reverse=True)
