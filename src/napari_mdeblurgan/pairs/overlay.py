"""Two registered images laid on each other, for a person to judge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.pairs.pair import RegisteredPair
from napari_mdeblurgan.pairs.structure import blurred

_STRETCH = (1.0, 99.7)  # percentiles of what is shown black and white
_SQUARES = 8  # along the shorter edge
NOWHERE = 40  # grey where only one of the images shows something


def magenta_green(pair: RegisteredPair) -> np.ndarray:
    """The low-magnification image in magenta and the high-magnification image, equally blurred, in
    green.

    Where they fit the picture is grey; where they do not, one of the colours stands out. People who
    confuse red and green can tell these two.

    Returns
    -------
    ndarray
        uint8, (scale · y, scale · x, 3).
    """
    low, high = _grey(pair, alike=True)
    return _masked(np.stack([low, high, low], axis=-1), pair)


def checkerboard(pair: RegisteredPair) -> np.ndarray:
    """Squares of the two in turn, the high-magnification image as sharp as it is: lines must go on
    across the edges.

    Returns
    -------
    ndarray
        uint8, (scale · y, scale · x, 3).
    """
    low, high = _coloured(pair)
    edge = max(1, min(low.shape[:2]) // _SQUARES)
    y, x = np.indices(low.shape[:2]) // edge
    return _masked(np.where(((y + x) % 2 == 0)[..., None], low, high), pair)


def side_by_side(pair: RegisteredPair) -> np.ndarray:
    """The low-magnification image and the high-magnification image next to each other.

    Returns
    -------
    ndarray
        uint8, (scale · y, 2 · scale · x + 4, 3).
    """
    low, high = (_masked(each, pair) for each in _coloured(pair))
    return np.concatenate([low, np.full((len(low), 4, 3), 255, np.uint8), high], axis=1)


OVERLAYS: dict[str, Callable[[RegisteredPair], np.ndarray]] = {
    "magenta-green": magenta_green,
    "checkerboard": checkerboard,
    "side by side": side_by_side,
}


def _coloured(pair: RegisteredPair) -> tuple[np.ndarray, np.ndarray]:
    """Both as (y, x, 3) uint8 under one contrast."""
    low = np.stack([_enlarged(channel, pair.scale) for channel in pair.low])
    high = pair.high
    if not pair.rgb:
        low, high = low.mean(axis=0, keepdims=True), high.mean(axis=0, keepdims=True)
    bottom, top = np.percentile(pair.low if pair.rgb else pair.low.mean(axis=0), _STRETCH)
    return _picture(low, bottom, top), _picture(high, bottom, top)


def _picture(planes: np.ndarray, bottom: float, top: float) -> np.ndarray:
    """(y, x, 3) uint8 of (channels, y, x)."""
    planes = _bytes(planes, bottom, top)
    return np.moveaxis(np.broadcast_to(planes, (3, *planes.shape[1:])), 0, -1)


def _grey(pair: RegisteredPair, alike: bool) -> tuple[np.ndarray, np.ndarray]:
    """Both as (y, x) uint8, each stretched to its own contrast."""
    low, high = pair.low.mean(axis=0), pair.high.mean(axis=0)
    low = _enlarged(low, pair.scale)
    if alike:
        weight = blurred(pair.valid.astype(np.float32), pair.registration.blur_px * pair.scale)
        high = blurred(high, pair.registration.blur_px * pair.scale) / np.maximum(weight, 1e-3)
    pictures = []
    for each in (low, high):
        shown = each[pair.valid] if pair.valid.any() else each
        pictures.append(_bytes(each, *np.percentile(shown, _STRETCH)))
    return pictures[0], pictures[1]


def _enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    """By cubic interpolation, lying as a network's output does."""
    shape = tuple(length * scale for length in image.shape)
    return ndimage.affine_transform(
        image, [1 / scale] * 2, 0.5 / scale - 0.5, shape, np.float32, order=3, mode="nearest"
    )


def _bytes(image: np.ndarray, bottom: float, top: float) -> np.ndarray:
    return (
        (np.clip((image - bottom) / max(top - bottom, 1e-9), 0, 1) * 255).round().astype(np.uint8)
    )


def _masked(picture: np.ndarray, pair: RegisteredPair) -> np.ndarray:
    return np.where(pair.valid[..., None], picture, np.uint8(NOWHERE)).astype(np.uint8)
