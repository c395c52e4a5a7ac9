"""How many pixels of one image make one of the other."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mdeblurgan.pairs import ImagePair, PairError
from napari_mdeblurgan.pairs.magnification import magnification
from napari_mdeblurgan.storage import Micrograph


def pair(
    low: float | None = None, high: float | None = None, units: tuple[str, str] = ("µm", "µm")
) -> ImagePair:
    images = [
        Micrograph(
            np.zeros((4, 4)),
            "YX",
            {} if size is None else {"Y": size, "X": size},
            None if size is None else unit,
        )
        for size, unit in zip((low, high), units, strict=True)
    ]
    return ImagePair("p", *images)


@pytest.mark.parametrize(
    ("images", "objectives", "ratio"),
    [
        (pair(1.3, 0.65), None, 2),
        (pair(1.3, 650, ("µm", "nm")), None, 2),
        (pair(1.3, 0.5), (5, 10), 2.6),
        (pair(), None, 2),
        (pair(), (5, 20), 4),
        (pair(1.3, None), (10, 25), 2.5),
        (pair(0.65, 0.65), None, 1),
        (pair(0.65, 0.64), (5, 10), 1.016),
        (pair(), (10, 10), 1),
    ],
)
def test_pixel_sizes_count_then_the_objectives(images, objectives, ratio) -> None:
    assert magnification(images, objectives) == pytest.approx(ratio, abs=1e-3)


def test_a_ratio_that_is_given_counts_for_all() -> None:
    assert magnification(pair(1.3, 0.65), ratio=1.0) == 1


@pytest.mark.parametrize(
    ("images", "objectives", "words"),
    [
        (pair(0.65, 1.3), None, "swapped"),
        (pair(), (10, 5), "weaker"),
        (pair(65, 0.65), None, "cannot be used"),
    ],
)
def test_what_cannot_be_is_refused(images, objectives, words) -> None:
    with pytest.raises(PairError, match=words):
        magnification(images, objectives)


def test_pixels_that_are_not_square_are_refused() -> None:
    images = pair(1.3, 0.65)
    images.low.pixel_size["X"] = 1.5
    with pytest.raises(PairError, match="not square"):
        magnification(images)
