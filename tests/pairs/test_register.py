"""Registration: exact where the two show the same place, refused where they do not, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.pairs import ImagePair, PairError, register_all, register_images
from napari_mdeblurgan.pairs.structure import without_hot_pixels
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.storage import Micrograph


@pytest.mark.parametrize(
    ("blur", "degrees", "enlarged", "centre"),
    [(0.5, 0.0, 1.0, (180, 180)), (2.5, -3.0, 1.02, (110, 110)), (1.5, 3.0, 0.98, (240, 120))],
)
def test_a_field_is_found_to_a_quarter_of_a_pixel(make, blur, degrees, enlarged, centre) -> None:
    made = make(1, blur=blur, degrees=degrees, enlarged=enlarged, centre=centre)
    found = register_images(made.pair).registration
    assert found.accepted, found.reasons
    assert made.error(found.transform) < 0.25
    assert found.residual_px < 0.25
    assert found.blur_px == pytest.approx(blur, abs=0.3)
    assert found.ratio == pytest.approx(2 / enlarged, rel=0.005)
    assert found.rotation_degrees == pytest.approx(-degrees, abs=0.3)


def test_another_specimen_is_refused(make) -> None:
    one, other = make(1).pair, make(2).pair
    found = register_images(ImagePair("mixed up", one.low, other.high)).registration
    assert not found.accepted
    assert "same place" in found.reasons[0]


def test_another_place_of_the_same_specimen_is_refused(make) -> None:
    pair = make(3, centre=(180, 95)).pair
    elsewhere = replace(pair.low, data=pair.low.data[:, 95:])
    found = register_images(ImagePair("moved on", elsewhere, pair.high)).registration
    assert not found.accepted


def test_colours_are_registered_and_matched_one_by_one(make) -> None:
    made = make(4, gain=(0.9, 0.5, 1.2), offset=(0.0, 0.2, 0.1), dtypes=(np.uint8, np.uint16))
    pair = register_images(made.pair)
    assert pair.accepted, pair.registration.reasons
    assert pair.rgb
    assert made.error(pair.registration.transform) < 0.25
    ratios = np.array(pair.registration.gain) * np.iinfo(np.uint16).max / np.iinfo(np.uint8).max
    np.testing.assert_allclose(ratios / ratios[0], np.array([0.9, 0.5, 1.2]) / 0.9, rtol=0.05)
    assert (
        pair.windows[0]
        == pair.windows[1]
        == pair.windows[2]
        == measured_windows(made.pair.low.data, True, None)[0]
    )


@pytest.mark.parametrize("scale", [2, 4])
def test_the_high_image_lies_on_the_low_one_as_the_output_of_a_network(make, scale) -> None:
    pair = register_images(make(5, blur=0.4, noise=0.0).pair, scale=scale)
    y, x = pair.low.shape[1:]
    assert y % 8 == x % 8 == 0
    assert pair.high.shape == (1, scale * y, scale * x)
    small = pair.high[0].reshape(y, scale, x, scale).mean(axis=(1, 3))
    inside = np.s_[6:-6, 6:-6]
    slopes = [
        np.gradient(ndimage.gaussian_filter(each, 1))[axis][inside]
        for each in (small, pair.low[0])
        for axis in (0, 1)
    ]
    difference = (ndimage.gaussian_filter(pair.low[0], 1) - ndimage.gaussian_filter(small, 1))[
        inside
    ]
    for axis in (
        0,
        1,
    ):  # by how much one is moved against the other, in pixels of low: I(x + d) − I(x) ≈ d · slope
        assert abs((difference * slopes[axis]).sum() / (slopes[axis] ** 2).sum()) < 0.05


def test_the_low_part_is_the_image_seen_through_the_window_of_the_whole(make) -> None:
    made = make(6)
    pair = register_images(made.pair)
    window = measured_windows(made.pair.low.data, False, None)[0]
    np.testing.assert_array_equal(pair.low[0], window.normalise(made.pair.low.data[pair.low_crop]))


def test_intensities_are_matched(make) -> None:
    pair = register_images(make(7, gain=(0.6,), offset=(0.2,), blur=1.0).pair)
    blurred = ndimage.gaussian_filter(pair.high[0], 2 * pair.registration.blur_px)
    small = blurred.reshape(pair.low.shape[1], 2, -1, 2).mean(axis=(1, 3))
    inside = np.s_[8:-8, 8:-8]
    slope, rest = np.polyfit(small[inside].ravel(), pair.low[0][inside].ravel(), 1)
    assert slope == pytest.approx(1, abs=0.1)
    assert rest == pytest.approx(0, abs=0.05)


def test_a_field_that_reaches_beyond_the_other_is_valid_only_within(make) -> None:
    made = make(8, centre=(60, 180), degrees=3)
    pair = register_images(made.pair)
    assert pair.accepted, pair.registration.reasons
    assert made.error(pair.registration.transform) < 0.25
    assert pair.registration.overlap == pytest.approx(0.83, abs=0.05)
    assert pair.low_crop[0].start < 8
    assert not pair.high[:, ~pair.valid].any()


def test_channels_keep_windows_of_their_own(make) -> None:
    one, other = make(9).pair, make(9, gain=(0.3,), offset=(0.0,)).pair
    images = [
        Micrograph(np.stack([a.data, b.data]), "CYX", a.pixel_size, a.unit)
        for a, b in ((one.low, other.low), (one.high, other.high))
    ]
    pair = register_images(ImagePair("two channels", *images))
    assert pair.accepted, pair.registration.reasons
    assert not pair.rgb
    assert pair.windows == measured_windows(images[0].data, False, (0,))
    assert pair.windows[0] != pair.windows[1]


def _two_dyes(make) -> ImagePair:
    """Two specimens, each in a channel of its own, taken by one pair of objectives."""
    one, other = make(9).pair, make(19).pair
    return ImagePair(
        "two dyes",
        *(
            Micrograph(
                np.stack([a.data, b.data]),
                "CYX",
                a.pixel_size,
                a.unit,
                channel_names=("DAPI", "GFP"),
            )
            for a, b in ((one.low, other.low), (one.high, other.high))
        ),
    )


def test_channels_in_another_order_are_taken_by_their_names(make) -> None:
    pair = _two_dyes(make)
    high = replace(pair.high, data=pair.high.data[::-1], channel_names=("GFP", "DAPI"))
    straight, turned = register_images(pair), register_images(replace(pair, high=high))
    assert turned.accepted, turned.registration.reasons
    np.testing.assert_array_equal(turned.high, straight.high)


def test_names_of_channels_that_were_exchanged_are_told(make) -> None:
    pair = _two_dyes(make)
    high = replace(pair.high, channel_names=("GFP", "DAPI"))
    found = register_images(replace(pair, high=high)).registration
    assert not found.accepted
    (reason,) = found.reasons
    assert reason.endswith("put the names right, or save both without names.")


def test_channels_in_another_order_without_names_are_refused(make) -> None:
    pair = _two_dyes(make)
    assert register_images(pair).accepted
    high = replace(pair.high, data=pair.high.data[::-1], channel_names=())
    found = register_images(replace(pair, high=high)).registration
    assert not found.accepted
    assert not found.swapped
    (reason,) = found.reasons
    assert "0, 1 of the low-magnification image fit 1, 0 of the other" in reason


def test_a_channel_of_which_the_other_image_shows_nothing_is_named(make) -> None:
    """Channels of one specimen, the last of them bleached when the high image was taken."""
    made = make(9).pair
    bleached = np.random.default_rng(0).normal(900, 20, made.high.data.shape).astype(np.uint16)
    low, high = (
        Micrograph(np.stack(each), "CYX", made.low.pixel_size, "µm", channel_names=tuple("ABC"))
        for each in ([made.low.data] * 3, [made.high.data, made.high.data, bleached])
    )
    high = replace(high, pixel_size=made.high.pixel_size)
    found = register_images(ImagePair("bleached", low, high)).registration
    assert found.accepted, found.reasons
    (warning,) = [each for each in found.warnings if "shows too little" in each]
    assert warning.startswith("Channel C ")


def test_pixels_without_a_value_are_not_valid(make) -> None:
    pair = make(10).pair
    data = pair.high.data.astype(np.float32)
    data[60:70, 80:90] = np.nan
    found = register_images(ImagePair("gap", pair.low, replace(pair.high, data=data)))
    assert found.accepted, found.registration.reasons
    assert np.isfinite(found.high).all()
    assert 0.95 < found.valid.mean() < 0.998


def test_swapped_images_without_pixel_sizes_are_noticed(make) -> None:
    pair = make(11, pixel_sizes=None).pair
    found = register_images(ImagePair("swapped", pair.high, pair.low))
    assert not found.accepted
    assert "swapped" in found.registration.reasons[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: image[:, ::-1], "mirrored left to right"),
        (lambda image: np.rot90(image), "turned anticlockwise by 270°"),
    ],
)
def test_a_camera_that_is_mounted_otherwise_is_noticed(make, change, words) -> None:
    pair = make(12).pair
    found = register_images(
        ImagePair("camera", pair.low, replace(pair.high, data=change(pair.high.data)))
    )
    assert not found.accepted
    assert words in found.registration.reasons[0]


def test_saturation_is_named_but_not_refused(make) -> None:
    pair = make(13).pair
    bright = np.minimum(pair.high.data.astype(float) * 1.8, 65535).astype(np.uint16)
    found = register_images(
        ImagePair("bright", pair.low, replace(pair.high, data=bright))
    ).registration
    assert found.accepted, found.reasons
    assert any("saturated" in warning and "high" in warning for warning in found.warnings)


def test_the_same_sharp_image_is_known_in_another_pair(make) -> None:
    pair, other = make(1).pair, make(2).pair
    darker = replace(pair.low, data=pair.low.data // 2)
    given = (pair.low, pair.high), (darker, pair.high), (pair.low, other.high)
    truths = [register_images(ImagePair("p", low, high)).truth for low, high in given]
    assert truths[0] == truths[1] != truths[2]


def test_an_empty_image_is_named(make) -> None:
    pair = make(14).pair
    with pytest.raises(PairError, match="high-magnification image is empty"):
        register_images(
            ImagePair("dark", pair.low, replace(pair.high, data=np.full_like(pair.high.data, 7)))
        )


def test_noise_alone_is_refused() -> None:
    random = np.random.default_rng(0)
    images = [
        Micrograph(random.normal(500, 10, (size, size)).astype(np.float32), "YX")
        for size in (160, 160)
    ]
    assert not register_images(ImagePair("noise", *images)).accepted


def test_grey_and_colour_make_no_pair(make) -> None:
    pair = make(15).pair
    colour = Micrograph(np.stack([pair.high.data] * 3, axis=-1), "YXS", pair.high.pixel_size, "µm")
    with pytest.raises(PairError, match="one image is grey, the other colour"):
        register_images(ImagePair("kinds", pair.low, colour))


def test_a_stack_is_refused_with_the_mend(make) -> None:
    pair = make(16).pair
    stack = Micrograph(np.stack([pair.high.data] * 2), "ZYX", pair.high.pixel_size, "µm")
    with pytest.raises(PairError, match="take one plane"):
        register_images(ImagePair("stack", pair.low, stack))


def test_hot_pixels_of_both_cameras_change_neither_place_nor_contrast_nor_are_they_truth(
    make,
) -> None:
    made = make(1, gain=(0.8,))
    random = np.random.default_rng(0)
    low, high = (replace(image, data=image.data // 60) for image in (made.pair.low, made.pair.high))
    clean = register_images(ImagePair("clean", low, high)).registration
    hot = []
    for image in (low, high):
        data = image.data.copy()
        count = round(0.002 * data.size)
        data[tuple(random.integers(2, length - 2, count) for length in data.shape)] = 65535
        hot.append(replace(image, data=data))
    pair = register_images(ImagePair("hot", *hot))
    assert pair.accepted, pair.registration.reasons
    assert made.error(pair.registration.transform) < 0.25
    assert pair.registration.gain == pytest.approx(clean.gain, rel=0.05)
    assert pair.high.max() < 3


def test_sparse_spots_are_no_hot_pixels() -> None:
    y, x = np.mgrid[:90, :90]
    places = np.random.default_rng(0).uniform(5, 85, (9, 2))
    spots = sum(np.exp(-((y - at) ** 2 + (x - to) ** 2) / 2 / 0.7**2) for at, to in places)
    image = (1000 * spots + np.random.default_rng(1).normal(100, 3, y.shape)).astype(np.float32)
    np.testing.assert_array_equal(without_hot_pixels(image), image)


def test_masked_pixels_are_not_valid(make) -> None:
    pair = make(10).pair
    data = np.ma.masked_array(pair.high.data.astype(np.float32), False)
    data[60:70, 80:90] = -9999
    data.mask[60:70, 80:90] = True
    found = register_images(ImagePair("gap", pair.low, replace(pair.high, data=data)))
    assert found.accepted, found.registration.reasons
    assert found.high.min() > -1
    assert 0.95 < found.valid.mean() < 0.998


def test_arrays_without_axes_are_refused_with_the_mend(make) -> None:
    pair = make(0).pair
    (found,) = register_all([ImagePair("arrays", pair.low.data, pair.high.data)])
    assert 'pass it as one that does, as in `Micrograph(array, "YX")`' in found.error
