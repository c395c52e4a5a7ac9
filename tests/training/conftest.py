"""A folder of small sharp images, and the smallest training worth the name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from napari_mdeblurgan.training.config import TrainingConfig


@pytest.fixture(scope="session")
def sharp_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three grey images of 128 × 128 pixels."""
    folder = tmp_path_factory.mktemp("sharp")
    for number in range(3):
        grain = gaussian_filter(np.random.default_rng(number).random((128, 128)), 1)
        pixels = 255 * (grain - grain.min()) / np.ptp(grain)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"grain-{number}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., TrainingConfig]:
    """``tiny_config(run={"seed": 1})``: a configuration of seconds, with sections changed."""
    from napari_mdeblurgan.training.config import parse_config

    def make(**sections: dict[str, Any]) -> TrainingConfig:
        base: dict[str, dict[str, Any]] = {
            "network": {"width": 2, "discriminator_width": 2},
            "data": {"patch": 24, "batch": 2, "validation": 0.3},
            "degradation": {"physical": 0},
            "schedule": {
                "name": "cosine",
                "learning_rate": 3e-3,
                "steps": 8,
                "warm_up": 4,
                "steps_per_epoch": 4,
            },
            "run": {
                "threads": 1,
                "precision": "float32",
                "device": "cpu",
                "metrics_every": 3,
                "checkpoint_steps": 3,
                "validate_every": 8,
            },
        }
        return parse_config(
            {
                name: base.get(name, {}) | sections.get(name, {})
                for name in base.keys() | sections.keys()
            }
        )

    return make
