"""A specimen, and what two objectives make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.pairs import ImagePair
from napari_mdeblurgan.pairs.affine import affine, corners, moved, turned
from napari_mdeblurgan.storage import Micrograph


@dataclass(frozen=True)
class Made:
    """A pair whose transform is known."""

    pair: ImagePair
    truth: np.ndarray

    def error(self, found: np.ndarray) -> float:
        """Root mean square at the high-resolution field's corners, in low-resolution pixels."""
        points = corners(self.pair.high.data.shape)
        there = [moved(np.linalg.inv(each), points) for each in (found, self.truth)]
        return float(np.sqrt(((there[0] - there[1]) ** 2).sum(axis=1).mean()))


def specimen(seed: int, edge: int = 360) -> np.ndarray:
    """(y, x) in [0, 1]: cells of different brightness with grain in them."""
    random = np.random.default_rng(seed)
    cells = ndimage.gaussian_filter(random.random((edge, edge)), 5) > 0.502
    grain = ndimage.gaussian_filter(random.random((edge, edge)), 1.5)
    image = cells * (0.6 + 4 * (grain - 0.5)) + 0.1
    return np.clip(image, 0, 1)


def micrograph(
    values: np.ndarray, pixel_size: float | None = None, dtype: type = np.uint16
) -> Micrograph:
    """(y, x) or (y, x, 3) in [0, 1] as a camera gives it."""
    levels = (np.clip(values, 0, 1) * (0.9 * np.iinfo(dtype).max)).astype(dtype)
    sizes = {} if pixel_size is None else {"Y": pixel_size, "X": pixel_size}
    return Micrograph(
        levels, "YXS" if values.ndim == 3 else "YX", sizes, None if pixel_size is None else "µm"
    )


@pytest.fixture(scope="session")
def make() -> Callable[..., Made]:
    """``make(seed, blur=…, degrees=…, …)``: a pair; the low-magnification image shows the specimen
    at half its density.
    """

    def build(
        seed: int = 0,
        *,
        blur: float = 1.5,
        degrees: float = 2.0,
        enlarged: float = 1.015,
        centre: tuple[float, float] = (150.0, 210.0),
        field: int = 180,
        noise: float = 0.01,
        gain: tuple[float, ...] = (0.8,),
        offset: tuple[float, ...] = (0.1,),
        pixel_sizes: tuple[float, float] | None = (1.3, 0.65),
        dtypes: tuple[type, type] = (np.uint16, np.uint16),
    ) -> Made:
        random = np.random.default_rng((seed, 1))
        colours = (
            [specimen(seed)]
            if len(gain) == 1
            else [specimen(seed) * share for share in (1.0, 0.7, 0.5)]
        )
        linear = turned(degrees) * enlarged
        to_source = affine(linear, np.array(centre), np.full(2, (field - 1) / 2))
        high = [
            ndimage.affine_transform(
                each, linear, to_source[:2, 2], (field, field), order=3, mode="mirror"
            )
            for each in colours
        ]
        low = []
        for each, times, plus in zip(colours, gain, offset, strict=True):
            defocused = ndimage.gaussian_filter(each, 2 * blur)
            small = defocused.reshape(len(each) // 2, 2, -1, 2).mean(axis=(1, 3))
            shade = 1 - 0.3 * np.linspace(-1, 1, small.shape[1]) ** 2
            low.append(small * shade * times + plus + random.normal(0, noise, small.shape))
        stacked = [np.stack(each, axis=-1) if len(gain) > 1 else each[0] for each in (low, high)]
        sizes = pixel_sizes or (None, None)
        images = [micrograph(*each) for each in zip(stacked, sizes, dtypes, strict=True)]
        from_low = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
        return Made(ImagePair(f"field {seed}", *images), np.linalg.inv(to_source) @ from_low)

    return build
