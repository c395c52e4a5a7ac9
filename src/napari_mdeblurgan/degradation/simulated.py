"""Pairs of a blurred and a sharp image, made of a sharp one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.errors import ImageError

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.degradation import Condition, Mixture
    from napari_mdeblurgan.storage import Micrograph


PIXEL_SIZE_UM = 0.65


def simulated_pair(
    image: Micrograph,
    degradation: Condition | Mixture,
    scale: int,
    seed: int,
    size_um: float | None = None,
) -> tuple[Micrograph, Micrograph]:
    """The low-resolution blurred and the high-resolution sharp image that a degradation makes of a
    sharp one.

    8-bit images are taken as they are; others from their smallest to their largest value, channel
    by channel.

    Parameters
    ----------
    image : Micrograph
        In memory. The last rows and columns that make no whole block of `scale` are left out, and
        so is transparency.
    degradation : Condition or Mixture
        A mixture degrades every plane in its own way.
    scale : int
        Reduction along y and x.
    seed : int
        Of all chance.
    size_um : float or None
        Edge of a pixel of `image`; None keeps what the image says.

    Returns
    -------
    tuple of Micrograph
        uint8 where the camera has 8 bits or less, else uint16; values from 0 to 2 ** bits − 1.
    """
    import numpy as np
    import torch

    from napari_mdeblurgan.degradation import quantise
    from napari_mdeblurgan.storage.geometry import MICROMETRES

    sharp = _unit_range(image)
    y, x = image.axes.index("Y"), image.axes.index("X")
    whole = [length // scale * scale for length in (sharp.shape[y], sharp.shape[x])]
    if min(whole) == 0:
        raise ImageError(
            f"An image of {sharp.shape[y]} × {sharp.shape[x]} pixels is too small; take a larger "
            "one."
        )
    sharp = sharp[(slice(None),) * y + tuple(slice(length) for length in whole)]
    planes = sharp.reshape(-1, *whole, sharp.shape[-1] if image.rgb else 1)
    degraded = degradation.degrade(
        torch.from_numpy(np.ascontiguousarray(np.moveaxis(planes, -1, 1))), seed, scale
    )
    bits = degradation.bits
    if size_um is not None:
        sizes, unit = image.physical()
        depths = {
            axis: size * MICROMETRES[unit] for axis, size in sizes.items() if axis == "Z" and unit
        }
        image = replace(
            image,
            pixel_size={"X": size_um, "Y": size_um} | depths,
            unit="µm",
            position={},
            unitless=frozenset(),
        )

    def micrograph(values: torch.Tensor, factor: int) -> Micrograph:
        levels = (quantise(values, bits) * (2**bits - 1)).round().numpy()
        levels = np.moveaxis(levels, 1, -1).astype(np.uint8 if bits <= 8 else np.uint16)
        shape = list(sharp.shape)
        shape[y], shape[x] = levels.shape[1:3]
        shown = tuple(
            replace(channel, limits=None) for channel in image.display
        )  # those of other greys
        greys: dict[str, Any] = {"display": shown, "grey_calibration": None}
        return replace(image, data=levels.reshape(shape), **image.frame(1 / factor), **greys)

    return micrograph(degraded.blurred, scale), micrograph(degraded.sharp, 1)


def with_pixel_size(
    condition: Condition | Mixture, image: Micrograph, given_um: float | None, scale: int
) -> tuple[Condition | Mixture, float | None, bool]:
    """The degradation at the image's pixel size, that size in µm (None: not needed), and whether it
    had to be assumed.
    """
    from napari_mdeblurgan.degradation import Condition
    from napari_mdeblurgan.storage.geometry import MICROMETRES

    if not isinstance(condition, Condition) or condition.optics is None:
        return condition, None, False
    sizes, unit = image.physical()
    size_um, assumed = given_um, False
    if size_um is None and unit is not None and {"X", "Y"} <= sizes.keys():
        if not math.isclose(sizes["X"], sizes["Y"], rel_tol=0.01):
            raise ImageError(
                f"The pixels of {image.name or 'the image'} are not square; give their "
                "--pixel-size in µm."
            )
        size_um = sizes["X"] * MICROMETRES[unit]
    if size_um is None:
        size_um, assumed = PIXEL_SIZE_UM, True
    return (
        replace(condition, optics=replace(condition.optics, pixel_size_um=size_um * scale)),
        size_um,
        assumed,
    )


def _unit_range(image: Micrograph) -> np.ndarray:
    """float32 in [0, 1], without transparency."""
    import numpy as np

    data = np.asarray(image.data)
    if image.rgb:
        data = data[..., :3]
    if data.dtype in (np.uint8, bool):
        return data.astype(np.float32) / (1 if data.dtype == bool else 255)
    values = data.astype(np.float64)
    if not np.isfinite(values).all():
        raise ImageError(
            f"{image.name or 'The image'} has pixels without a value (NaN or infinite); replace "
            "them first."
        )
    others = tuple(axis for axis in range(values.ndim) if axis != image.channel_axis)
    low = values.min(axis=others, keepdims=True)
    span = values.max(axis=others, keepdims=True) - low
    return ((values - low) / np.where(span > 0, span, 1)).astype(np.float32)
