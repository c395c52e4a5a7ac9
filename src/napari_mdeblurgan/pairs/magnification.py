"""How many pixels of the high-magnification image make one of the low-magnification image."""

from __future__ import annotations

import math

from napari_mdeblurgan.pairs.pair import ImagePair, PairError, SwappedError
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.storage.geometry import MICROMETRES

OBJECTIVES = (5.0, 10.0)
SAME = 0.05  # ratios this close to 1 show the same pixel size
NEARER = math.sqrt(2)  # times the model's factor: above it, the next factor would fit better
_LARGEST = 16.0


def pixel_size_um(image: Micrograph) -> float | None:
    """Edge of a pixel in µm, where the file says one.

    Raises
    ------
    PairError
        If the pixels are not square.
    """
    sizes, unit = image.physical()
    if unit is None or not {"X", "Y"} <= sizes.keys():
        return None
    if not math.isclose(sizes["X"], sizes["Y"], rel_tol=0.01):
        raise PairError(
            f"The pixels of {image.name or 'an image'} are not square; resample it so that they "
            "are."
        )
    return sizes["X"] * MICROMETRES[unit]


def magnification(
    pair: ImagePair, objectives: tuple[float, float] | None = None, ratio: float | None = None
) -> float:
    """The ratio of the pixel sizes, low over high.

    Parameters
    ----------
    pair : ImagePair
        Its pixel sizes count where both files say them.
    objectives : (float, float), optional
        Magnifications of the weaker and the stronger objective, on the same camera; for images
        without pixel sizes. ×5 and ×10 where nothing is said.
    ratio : float, optional
        The ratio itself; nothing else is looked at.

    Raises
    ------
    PairError
        If low has the finer pixels, or the ratio is beyond 16.
    """
    if ratio is not None:
        return _checked(ratio)
    sizes = pixel_size_um(pair.low), pixel_size_um(pair.high)
    if sizes[0] is not None and sizes[1] is not None:
        found = sizes[0] / sizes[1]
        text = f"{sizes[0]:.4g} µm and {sizes[1]:.4g} µm"
        if found < 1 - SAME:
            raise SwappedError(
                f"Low and high of {pair.name} are swapped: the low one has the finer pixels "
                f"({text}); exchange them."
            )
        return _checked(found)
    low, high = objectives or OBJECTIVES
    if not (0 < low <= high < math.inf):
        raise PairError(
            f"The objectives ×{low:g} and ×{high:g} are not a weaker and a stronger one; give the "
            "weaker first."
        )
    return _checked(high / low)


def known(pair: ImagePair) -> bool:
    """Whether both files say their pixel sizes, so that nothing else need be looked at."""
    return None not in (pixel_size_um(pair.low), pixel_size_um(pair.high))


def is_same(ratio: float) -> bool:
    """Whether images of that ratio have pixels of the same size."""
    return abs(ratio - 1) <= SAME


def check_scale(ratio: float, scale: int, name: str) -> None:
    """Make sure that a model can learn from images of that ratio.

    Raises
    ------
    PairError
        If the sharp image would be better for a model of twice as many pixels.
    """
    if ratio <= NEARER * scale:
        return
    whole = 2 ** round(math.log2(ratio))
    edge = whole // scale
    other = (
        "start from gray-x4 or rgb-x4"
        if whole == 4
        else f"none for ×{whole} comes with this program"
    )
    raise PairError(
        f"{name}: {ratio:.3g} pixels of the high-magnification image make one of the other, but "
        f"the model to learn from them makes ×{scale}; {other}, average the high-magnification "
        f"images over {edge} × {edge} pixels for ×{scale}, or take pairs such as ×10 and "
        f"×{10 * scale}."
    )


def _checked(ratio: float) -> float:
    if not 1 - SAME <= ratio <= _LARGEST:
        raise PairError(
            f"A ratio of {ratio:g} between the magnifications cannot be used; it must be from 1 "
            f"to {_LARGEST:g}."
        )
    return ratio
