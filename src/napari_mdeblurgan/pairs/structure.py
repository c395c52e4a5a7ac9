"""What two images of the same place have in common however they were lit and focused: their
structure at a given scale.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.restoration.intensity import Window, hot_pixels
from napari_mdeblurgan.stopping import look_up

_TRUNCATE = 3.0
CLIPPED = (0.05, 99.95)  # percentiles: hot pixels must not outweigh the specimen
# of the structure's root mean square: where there is less, there is nothing to be made more of
_FLOOR = 0.5
_RANGE = (1, 50, 99)  # percentiles: where the image begins, its middle and its end, but for those
_LONELY = 4.0  # times: a spot, however small, shows in the pixels around it
_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


def plane(channels: np.ndarray) -> np.ndarray:
    """One grey image of all channels, each in units of its standard deviation; (channels, y, x) to
    (y, x) float32.

    What is not finite is put at the median; a channel without contrast adds nothing.
    """
    total = np.zeros(channels.shape[1:], np.float32)
    for channel in channels:
        look_up()
        values = channel.astype(np.float32)
        finite = np.isfinite(values)
        if not finite.any():
            continue
        values = without_hot_pixels(np.where(finite, values, np.median(values[finite])))
        low, middle, high = np.percentile(values[finite], (CLIPPED[0], 50, CLIPPED[1]))
        values = np.clip(values, low, high) - np.float32(middle)
        spread = float(values.std())
        if spread > 0:
            total += values / np.float32(spread)
    return total / len(channels)


def without_hot_pixels(image: np.ndarray) -> np.ndarray:
    """Single pixels that stand out of all their neighbours by more than the range of the image, and
    far more than these stand out of it, are put at the nearest of these; bright ones side by side
    as `hot_pixels` has it.

    They belong to the camera, not to the place, and more of them than are clipped would decide.
    """
    low, middle, high = np.percentile(image, _RANGE)
    reach = high - low
    if reach <= 0 or low - reach <= image.min() <= image.max() <= high + reach:
        return image
    calm = np.clip(
        image,
        ndimage.minimum_filter(image, footprint=_NEIGHBOURS),
        ndimage.maximum_filter(image, footprint=_NEIGHBOURS),
    )
    lonely = np.abs(image - calm) > np.maximum(reach, _LONELY * np.abs(calm - middle))
    found, window = np.where(lonely, calm, image), Window(float(low), float(high))
    hot = hot_pixels(window.normalise(found)[..., None])
    if hot is not None:
        y, x, _ = hot.places
        found[y, x] = window.invert(hot.values, found.dtype)
    return found


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur; `sigma` in pixels."""
    look_up()
    return (
        ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=_TRUNCATE)
        if sigma > 0
        else image
    )


class HighPass:
    """Takes away what is coarser than `sigma` pixels, knowing nothing of what is outside a mask.

    The same for two images, so that what the edge of the mask does to one it does to the other.

    Parameters
    ----------
    mask : ndarray
        (y, x) bool.
    sigma : float
        In pixels.
    """

    def __init__(self, mask: np.ndarray, sigma: float) -> None:
        self.mask = mask.astype(np.float32)
        self._sigma = sigma
        self._weight = np.maximum(self._mean(self.mask), 1e-6)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(y, x) float32: the image less its local mean; 0 outside the mask."""
        return (image - self.mean(image)) * self.mask

    def mean(self, image: np.ndarray) -> np.ndarray:
        """(y, x) float32: the mean of what is near and within the mask."""
        return self._mean(image * self.mask) / self._weight

    def _mean(self, image: np.ndarray) -> np.ndarray:
        look_up()
        return ndimage.gaussian_filter(image, self._sigma, mode="constant", truncate=2.5)


def even(structure: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Structure in units of its own strength nearby, so that the strongest part does not decide
    alone; 0 outside the mask.
    """
    nearby = HighPass(mask, sigma)
    whole = float((structure**2).sum() / max(nearby.mask.sum(), 1))
    floor = max(_FLOOR**2 * whole, 1e-20)
    return structure / np.sqrt(nearby.mean(structure**2) + np.float32(floor)) * nearby.mask


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of two images whose mean is nothing: −1 to 1; 0 where either is empty."""
    norm = float(
        np.sqrt((one.astype(np.float64) ** 2).sum() * (other.astype(np.float64) ** 2).sum())
    )
    return float((one.astype(np.float64) * other).sum()) / norm if norm > 0 else 0.0
