"""Pairs whose images have pixels of the same size, and pairs by objectives that
no model bridges.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.pairs import ImagePair, PairError, register_images
from napari_mdeblurgan.pairs.affine import affine
from tests.pairs.conftest import micrograph, specimen

SHIFT = np.array([12.4, 7.7])  # pixels of the sharp image, which shows a part of the other


def same_pixels(size: float | None) -> tuple[ImagePair, np.ndarray]:
    """A blurred image and a sharp one of a part of its place, pixels of one size; and how the one
    lies on the other.
    """
    sharp = specimen(3, 260)
    high = ndimage.affine_transform(sharp, np.eye(2), SHIFT, (220, 230), order=3, mode="mirror")
    low = 0.8 * ndimage.gaussian_filter(sharp, 2.0) + np.random.default_rng(1).normal(
        0.1, 0.01, sharp.shape
    )
    return ImagePair("cells", micrograph(low, size), micrograph(high, size)), affine(
        np.eye(2), np.zeros(2), SHIFT
    )


@pytest.mark.parametrize(
    ("size", "objectives", "said"),
    [
        (0.65, (5.0, 10.0), ()),
        (None, (20.0, 20.0), ()),
        (None, None, ("of the same size, as their registration shows",)),
    ],
    ids=["the files say so", "one objective", "registration shows it"],
)
def test_images_of_the_same_pixels_are_laid_on_each_other_as_they_are(
    size, objectives, said
) -> None:
    images, transform = same_pixels(size)
    found = register_images(images, objectives=objectives)
    assert found.accepted, found.registration.reasons
    assert found.scale == 1
    assert found.high.shape == found.low.shape
    np.testing.assert_allclose(found.registration.transform, transform, atol=0.15)
    inside = images.high.data / np.ptp(
        images.low.data.astype(float)
    )  # the truth is as sharp as it was taken
    spread = ndimage.laplace(found.high[0])[8:-8, 8:-8].std() / ndimage.laplace(inside).std()
    assert spread == pytest.approx(0.8, abs=0.15)
    assert [
        words for words in said if any(words in each for each in found.registration.warnings)
    ] == list(said)
    assert not any("too few" in each for each in found.registration.warnings)


@pytest.mark.parametrize(
    ("objectives", "scale"), [((5.0, 20.0), 2), ((5.0, 15.0), 2), ((5.0, 40.0), 4)]
)
def test_a_ratio_that_no_model_bridges_is_refused_with_what_to_do(make, objectives, scale) -> None:
    ratio = objectives[1] / objectives[0]
    with pytest.raises(PairError) as refused:
        register_images(make(0, pixel_sizes=None).pair, objectives=objectives, scale=scale)
    (sentence,) = str(refused.value).splitlines()
    assert f"{ratio:.3g} pixels of the high-magnification image make one of the other" in sentence
    way = "start from gray-x4 or rgb-x4" if scale == 2 else "none for ×8 comes with this program"
    assert f"makes ×{scale}; {way}, average" in sentence
    assert f"average the high-magnification images over 2 × 2 pixels for ×{scale}" in sentence


def test_a_ratio_that_is_nearer_to_the_models_is_taken(make) -> None:
    found = register_images(make(0, pixel_sizes=None).pair, objectives=(4.0, 8.0))
    assert found.accepted
    assert found.scale == 2


def test_the_sharper_image_given_as_the_blurred_one_is_noticed() -> None:
    images, _ = same_pixels(0.65)
    found = register_images(ImagePair("cells", images.high, images.low))
    assert not found.accepted
    assert found.registration.reasons == (
        "Low and high are swapped: the image given as low is the sharper one; exchange them.",
    )
    assert found.registration.swapped


def test_two_images_that_are_equally_sharp_are_not_called_swapped() -> None:
    images, _ = same_pixels(0.65)
    noise = np.random.default_rng(2).integers(0, 300, images.high.data.shape).astype(np.uint16)
    again = replace(images.high, data=images.high.data + noise)
    assert register_images(ImagePair("cells", again, images.high)).accepted


@pytest.mark.parametrize("objectives", [None, (5.0, 10.0), (20.0, 20.0)])
def test_an_image_and_itself_are_refused(objectives) -> None:
    pair, _ = same_pixels(None)
    twice = ImagePair("cells", pair.high, pair.high)
    with pytest.raises(PairError, match="cells: both are the same image"):
        register_images(twice, objectives=objectives)
