"""Small sharp images to judge by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter


def discs(edge: int = 96) -> np.ndarray:
    """Soft bright rings on a dark ground, float32 in [0, 1]."""
    y, x = np.mgrid[:edge, :edge]
    rings = 0.5 + 0.4 * np.tanh(4 * np.sin(np.hypot(y - 30, x - 40) / 3.0))
    return gaussian_filter(rings, 0.6).astype(np.float32)


def write(path: Path, image: np.ndarray) -> None:
    """As a PNG of 8 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image * 255).round().astype(np.uint8)).save(path)
