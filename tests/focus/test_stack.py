"""One sharp image, heights and confidences out of a focus stack whose truth is known."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from scipy import ndimage

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus import AllInFocus, all_in_focus, followed, most_detailed
from napari_mdeblurgan.focus import focusing as module
from napari_mdeblurgan.focus.focusing import FocusSteps
from napari_mdeblurgan.focus.sharpest_plane import aligned_steps

PLANES = 5
LEFT, RIGHT = 1, 3  # the planes in which the two halves are in focus


def texture(edge: int = 192, seed: int = 0) -> np.ndarray:
    """Grains of many sizes, 0 to 1."""
    random = np.random.default_rng(seed)
    grains = sum(
        ndimage.gaussian_filter(random.standard_normal((edge, edge)), s) * s
        for s in (0.8, 1.6, 4, 9)
    )
    return ((grains - grains.min()) / np.ptp(grains)).astype(np.float32)


def two_halves(sharp: np.ndarray, noise: float = 0.01) -> np.ndarray:
    """(planes, y, x): the left half is sharp in one plane, the right half in another."""
    random = np.random.default_rng(5)
    left = (np.arange(sharp.shape[1]) < sharp.shape[1] // 2)[None] & np.ones(sharp.shape[:2], bool)
    planes = []
    for plane in range(PLANES):
        one, other = (ndimage.gaussian_filter(sharp, 1.4 * abs(plane - at)) for at in (LEFT, RIGHT))
        planes.append(np.where(left, one, other) + noise * random.standard_normal(sharp.shape))
    return np.stack(planes).astype(np.float32)


def inner(image: np.ndarray, border: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """The two halves without what is near an edge."""
    middle = image.shape[1] // 2
    rows = slice(border, -border)
    return image[rows, border : middle - border], image[rows, middle + border : -border]


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return texture()


@pytest.fixture(scope="module")
def found(sharp: np.ndarray) -> AllInFocus:
    return all_in_focus(two_halves(sharp), registered=True)


def test_every_place_comes_from_the_plane_in_which_it_is_sharp(
    found: AllInFocus, sharp: np.ndarray
) -> None:
    left, right = inner(found.height)
    assert np.median(left) == pytest.approx(LEFT, abs=0.1)
    assert np.median(right) == pytest.approx(RIGHT, abs=0.1)
    assert (abs(left - LEFT) < 1).mean() > 0.98
    assert (abs(right - RIGHT) < 1).mean() > 0.98
    stack = two_halves(sharp)
    error = [np.sqrt(np.mean(np.square(image - sharp))) for image in (*stack, found.image)]
    assert error[-1] < 0.5 * min(error[:-1])
    assert min(map(np.median, inner(found.confidence))) > 0.8


def test_a_height_between_two_planes_is_found(sharp: np.ndarray) -> None:
    stack = np.stack([ndimage.gaussian_filter(sharp, 1.2 * abs(plane - 1.5)) for plane in range(4)])
    assert np.median(inner(all_in_focus(stack, registered=True).height)[0]) == pytest.approx(
        1.5, abs=0.15
    )


def test_no_value_lies_beyond_those_of_the_planes(found: AllInFocus, sharp: np.ndarray) -> None:
    stack = two_halves(sharp)
    lowest = stack.min(axis=0) * 0.98 - 0.01  # planes are made equally bright
    highest = stack.max(axis=0) * 1.02 + 0.01
    assert ((found.image >= lowest) & (found.image <= highest)).all()


def test_where_there_is_no_detail_planes_are_averaged_and_noise_falls(sharp: np.ndarray) -> None:
    empty = sharp.copy()
    empty[60:130, 20:80] = 0.5
    image = all_in_focus(two_halves(empty, noise=0.02), registered=True).image
    assert image[76:114, 36:64].std() < 0.7 * 0.02


@pytest.mark.parametrize("blur", [0.5, 1.0, 2.0])
def test_the_more_planes_show_the_same_detail_the_less_noise_is_left(
    sharp: np.ndarray, blur: float
) -> None:
    random = np.random.default_rng(0)
    clean = [ndimage.gaussian_filter(sharp, blur * abs(plane - 3)) for plane in range(7)]
    stack = np.stack(
        [plane + 0.03 * random.standard_normal(plane.shape) for plane in clean]
    ).astype(np.float32)
    found = all_in_focus(stack, registered=True)
    error = np.sqrt(np.mean(np.square(found.image - sharp)))
    assert found.depth == pytest.approx({0.5: 1.0, 1.0: 0.66, 2.0: 0.3}[blur], rel=0.2)
    assert error < {0.5: 0.87, 1.0: 1.0, 2.0: 1.03}[blur] * 0.03


def test_where_nothing_is_sharp_the_confidence_is_low_and_the_height_that_of_what_is_near(
    sharp: np.ndarray,
) -> None:
    empty = sharp.copy()
    empty[60:130, 20:80] = 0.5
    found = all_in_focus(two_halves(empty), registered=True)
    assert found.confidence[75:115, 35:65].max() < 0.3
    assert found.height[75:115, 35:65] == pytest.approx(LEFT, abs=0.6)


def test_far_from_all_detail_it_is_the_reference_plane() -> None:
    grains = texture(320)
    grains[:, 64:] = 0.5
    found = all_in_focus(two_halves(grains, noise=0), registered=True, reference=4)
    assert np.median(found.height[12:-12, 12:52]) == pytest.approx(LEFT, abs=0.2)
    assert (found.height[:, 240:] == 4).mean() > 0.99
    assert found.confidence[:, 240:].max() < 0.25


def test_dirt_on_the_camera_draws_no_height_to_itself(sharp: np.ndarray) -> None:
    stack = two_halves(sharp)
    stack[:, 90:94, 40:44] = 0
    clean = all_in_focus(two_halves(sharp), registered=True)
    dirty = all_in_focus(stack, registered=True)
    assert abs(dirty.height - clean.height)[80:104, 30:54].max() < 1


@pytest.mark.parametrize(
    ("magnified", "to"), [(1.0, (3.3, -2.6)), (1.01, (0.0, 0.0)), (0.985, (2.0, 1.0))]
)
def test_planes_that_drift_and_are_magnified_are_laid_on_each_other(
    sharp: np.ndarray, magnified: float, to: tuple[float, float]
) -> None:
    stack = two_halves(sharp)
    matrix = np.eye(3)
    matrix[:2, :2] *= magnified
    matrix[:2, 2] = np.array(to) - (magnified - 1) * 96
    stack[0] = ndimage.affine_transform(
        stack[0], matrix[:2, :2], matrix[:2, 2], order=3, mode="nearest"
    )
    transform = all_in_focus(stack, reference=1).transforms[0]
    assert transform is not None
    corners = np.array([(0, 0, 1), (191, 0, 1), (0, 191, 1), (191, 191, 1)], float).T
    assert abs((transform - matrix) @ corners)[:2].max() < 0.3
    assert np.sqrt(np.linalg.det(transform[:2, :2])) == pytest.approx(magnified, abs=1e-3)


def test_a_plane_that_is_brighter_leaves_no_trace(sharp: np.ndarray, found: AllInFocus) -> None:
    stack = two_halves(sharp)
    stack[RIGHT] *= 1.3
    again = all_in_focus(stack, registered=True, reference=LEFT)
    assert abs(np.median(inner(again.image)[1]) / np.median(inner(sharp)[1]) - 1) < 0.03
    assert np.median(inner(again.height)[1]) == pytest.approx(RIGHT, abs=0.1)


def test_values_around_zero_are_not_scaled(sharp: np.ndarray, found: AllInFocus) -> None:
    shift = np.float32(sharp.mean())
    lower = all_in_focus(two_halves(sharp) - shift, registered=True)
    np.testing.assert_allclose(lower.image, found.image - shift, atol=0.02)
    np.testing.assert_allclose(np.median(inner(lower.height)[0]), LEFT, atol=0.1)


def test_hot_pixels_do_not_hold_planes_where_they_are(sharp: np.ndarray) -> None:
    moves = [(2.0 * plane - 4, 3.0 - 1.5 * plane) for plane in range(PLANES)]
    moved = [
        ndimage.shift(plane, move, mode="mirror")
        for plane, move in zip(two_halves(sharp), moves, strict=True)
    ]
    stack, random = np.stack(moved), np.random.default_rng(0)
    stack[:, random.integers(0, 192, 60), random.integers(0, 192, 60)] = 20
    transforms = all_in_focus(stack, reference=2).transforms
    for transform, move in zip(transforms, moves, strict=True):
        assert transform is not None
        middle = transform @ [96, 96, 1]
        np.testing.assert_allclose(middle[:2], np.subtract(96, move), atol=0.25)


@pytest.mark.parametrize("colours", [(), (3,)])
@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_hot_pixels_and_cosmic_rays_leave_no_trace(
    sharp: np.ndarray, colours: tuple[int, ...], kind: str
) -> None:
    planes = two_halves(sharp) * 2000 + 500
    if colours:
        planes = np.stack([planes, planes[:, ::-1], planes], axis=-1)
    planes = planes.astype(kind)
    spoilt = planes.copy()
    for y, x in ((40, 50), (100, 150), (0, 90), (70, 191)):
        spoilt[:, y, x] = 60_000
    spoilt[4, 191, 80] = 60_000
    for plane, y, x in ((0, 80, 30), (4, 60, 170), (RIGHT, 150, 140), (LEFT, 150, 40)):
        spoilt[plane, y : y + 3, x] = 50_000
    calm, found = (all_in_focus(each, registered=True) for each in (planes, spoilt))
    apart = np.abs(calm.image.astype(float) - found.image)
    assert apart.max() < 0.12 * np.ptp(planes)  # 30 times the range where they are seen
    assert np.count_nonzero(apart > 0.02 * np.ptp(planes)) < 12 * apart[0, 0].size
    assert np.abs(calm.height - found.height).max() < 0.6


def test_planes_in_any_order_are_put_in_order(sharp: np.ndarray) -> None:
    stack = np.stack([ndimage.gaussian_filter(sharp, 0.3 + 0.9 * plane) for plane in range(6)])
    order = [3, 0, 5, 1, 4, 2]
    found = all_in_focus(stack[order], registered=True, ordered=False)
    depths = [order[index] for index in found.order]
    assert depths in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0])


@pytest.mark.parametrize("empty", [0, 2])
def test_a_plane_that_is_left_out_is_a_step_of_the_heights_as_well(
    sharp: np.ndarray, empty: int
) -> None:
    stack = two_halves(sharp)
    stack[empty] = 0.5
    found = all_in_focus(stack)
    assert found.order == tuple(number for number in range(PLANES) if number != empty)
    left, right = inner(found.height)
    assert np.median(left) == pytest.approx(LEFT, abs=0.2)
    assert np.median(right) == pytest.approx(RIGHT, abs=0.2)
    other = 1 - stack
    assert np.sqrt(np.mean(np.square(followed(found, other) - (1 - sharp))[12:-12, 12:-12])) < 0.03
    np.testing.assert_allclose(followed(found, stack), found.image, atol=0.02)


def test_where_memory_runs_out_tiles_are_quartered_and_leave_no_seams(
    sharp: np.ndarray, found: AllInFocus, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def little_memory(*given: Any) -> FocusSteps:
        tried.append(1)
        if len(tried) == 1:
            raise MemoryError
        return aligned_steps(*given)

    monkeypatch.setattr("napari_mdeblurgan.focus.focus_operations.aligned_steps", little_memory)
    quartered = all_in_focus(two_halves(sharp), registered=True)
    assert len(tried) == 1 + 4
    np.testing.assert_allclose(quartered.height, found.height, atol=1e-4)
    np.testing.assert_allclose(quartered.image, found.image, atol=1e-5)


@pytest.mark.parametrize(("room", "times"), [(2**28, 3), (2**16, 100)])
def test_planes_that_are_slow_to_compute_are_kept_where_all_of_them_fit(
    sharp: np.ndarray, monkeypatch: pytest.MonkeyPatch, room: int, times: int
) -> None:
    for name, value in (("SLOW_S", 0.0), ("_KEPT_BYTES", room)):
        monkeypatch.setattr(f"napari_mdeblurgan.restoration.read_in_turn.{name}", value)
    stack, computed = two_halves(sharp), []

    def made(block: np.ndarray) -> np.ndarray:
        computed.append(block.shape)
        return block

    lazy = da.from_array(stack, chunks=(1, -1, -1)).map_blocks(
        made, dtype=stack.dtype, meta=stack[:0]
    )
    seen, known = all_in_focus(lazy), all_in_focus(stack)
    np.testing.assert_array_equal(seen.image, known.image)
    np.testing.assert_array_equal(seen.height, known.height)
    assert len(computed) <= times * PLANES


def test_tiles_leave_no_seams_and_dask_is_read_part_by_part(
    sharp: np.ndarray, found: AllInFocus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOCUS_TILE", 64)
    tiled = all_in_focus(da.from_array(two_halves(sharp), chunks=(1, 50, 70)), registered=True)
    np.testing.assert_allclose(tiled.height, found.height, atol=1e-4)
    np.testing.assert_allclose(tiled.image, found.image, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_the_type_stays_and_colours_stay_together(
    sharp: np.ndarray, dtype: type, found: AllInFocus
) -> None:
    scale = 1 if dtype == np.float64 else 200
    grey = two_halves(sharp).clip(0, 1) * scale
    colour = np.stack([grey, 0.5 * grey, 0.25 * grey], axis=-1).astype(dtype)
    result = all_in_focus(colour, registered=True)
    assert result.image.dtype == dtype
    assert result.image.shape == (*sharp.shape, 3)
    off = abs(result.image[..., 0].astype(float) - 2 * result.image[..., 1].astype(float))
    assert off.max() <= (1e-6 if dtype == np.float64 else 2)  # rounded


def test_another_channel_follows_the_choice(sharp: np.ndarray, found: AllInFocus) -> None:
    other = 1 - two_halves(sharp)
    result = followed(found, other)
    assert np.sqrt(np.mean(np.square(result - (1 - sharp)))) < 0.03
    assert most_detailed([0 * other + np.random.default_rng(0).random(other.shape), other]) == 1
    with pytest.raises(ImageError, match="must have as many"):
        followed(found, other[:3])


def test_what_holds_no_choice_or_no_planes_is_refused_in_words(
    sharp: np.ndarray, found: AllInFocus
) -> None:
    stack = two_halves(sharp)
    with pytest.raises(ImageError, match="This ndarray holds no choice of planes"):
        followed(stack, stack)
    with pytest.raises(ImageError, match=r"A plane of this stack is no array .* but a list"):
        followed(found, stack.tolist())
    with pytest.raises(ImageError, match="no channel to choose from"):
        most_detailed([])
    with pytest.raises(ImageError, match="This str is no focus stack"):
        most_detailed(["a"])
    lazy = da.from_array(stack)
    with pytest.raises(ImageError, match=r"call its `compute_chunk_sizes\(\)` first"):
        all_in_focus(lazy[:, lazy[0, :, 0] > 0.5])


@pytest.mark.parametrize("kind", ["bool", "complex64", "U4"])
def test_another_channel_that_holds_no_numbers_is_refused(
    sharp: np.ndarray, found: AllInFocus, kind: str
) -> None:
    with pytest.raises(ImageError, match=r"of the type .* cannot be used; convert it"):
        followed(found, two_halves(sharp).astype(kind))


@pytest.mark.parametrize(
    ("stack", "told"),
    [
        (np.zeros((1, 80, 80), np.uint8), "at least two planes; this one has 1"),
        ([], "at least two planes; this one has none"),
        (np.zeros((80, 80), np.uint8), "a plane of this one has the shape 80\\."),
        (np.zeros((3, 40, 80), np.uint8), "too small"),
        (np.zeros((3, 80, 80), np.uint8), "shows anything"),
        (
            np.stack([np.kron(np.arange(1, 26).reshape(5, 5) * 9, np.ones((16, 16), "i4"))] * 3),
            "looks like a label map",
        ),
        (np.full((3, 80, 80), 200, np.uint8), "shows anything"),
        (
            np.where(np.arange(80) == 7, np.nan, np.random.default_rng(0).random((3, 80, 80))),
            "are NaN, infinite or masked",
        ),
        (
            np.where(np.arange(1200) == 7, np.nan, np.random.default_rng(0).random((3, 80, 1200))),
            "are NaN, infinite or masked",
        ),
        (np.full((3, 80, 80), 0.3, np.float32), "shows anything"),
        (np.zeros((3, 80, 80), np.complex64), "type complex64"),
        (np.zeros((3, 2, 80, 80), np.uint8), "has the axes"),
        ([np.zeros((80, 80)), np.zeros((80, 90))], "differ in size"),
        (None, "NoneType is no focus stack"),
        ("stack.tif", r"str is no focus stack.*read_image\(path\)\.data"),
        (np.zeros((3, 80, 80)).tolist(), "no array of numpy or dask, but a list"),
        (zarr.zeros((3, 80, 80)), r"Array is no array of numpy or dask; pass `dask\.array"),
    ],
)
def test_what_is_no_focus_stack_is_refused_in_a_sentence(stack: np.ndarray, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        all_in_focus(stack, registered=True)


@pytest.mark.parametrize("reference", [3, -1, 1.0, True, "1"])
def test_a_reference_that_is_no_number_of_a_plane_is_refused(reference: Any) -> None:
    stack = np.random.default_rng(0).random((3, 80, 80))
    with pytest.raises(ImageError, match=f"no plane {reference!r}; the planes are 0 to 2"):
        all_in_focus(stack, registered=True, reference=reference)


@pytest.mark.parametrize("other", [None, "stack.tif"])
def test_what_is_no_stack_cannot_follow(found: AllInFocus, other: Any) -> None:
    with pytest.raises(ImageError, match="is no focus stack"):
        followed(found, other)


@pytest.mark.parametrize("lazy", [False, True], ids=["numpy", "dask"])
@pytest.mark.parametrize("missing", [np.nan, np.inf, "masked"])
@pytest.mark.parametrize("registered", [False, True])
def test_a_stack_with_missing_pixels_is_refused_before_they_spread(
    sharp: np.ndarray, missing: float | str, lazy: bool, registered: bool
) -> None:
    stack: Any = two_halves(sharp)
    if missing == "masked":
        stack = np.ma.masked_array(stack, stack == stack[0, 3, 3])
    else:
        stack[0, 3, 3] = missing
    if lazy:
        stack = da.from_array(stack, chunks=(1, 192, 192), asarray=False)
    with pytest.raises(ImageError, match="Some pixels of this stack are NaN, infinite or masked"):
        all_in_focus(stack, registered=registered)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("times", [1e-300, 1e-30, 1e30, 1e300])
def test_the_unit_of_grey_values_changes_nothing(
    sharp: np.ndarray, found: AllInFocus, times: float
) -> None:
    again = all_in_focus(two_halves(sharp).astype(np.float64) * times, registered=True)
    np.testing.assert_allclose(again.image / times, found.image, atol=1e-4)
    np.testing.assert_allclose(again.height, found.height, atol=0.01)


@pytest.mark.parametrize("kind", [np.float64, np.uint32])
def test_what_differs_little_on_a_large_offset_is_found_in_focus(
    sharp: np.ndarray, kind: type
) -> None:
    greys = np.rint(100 * two_halves(sharp, noise=0)).astype(np.float64) + 100
    usual = all_in_focus(greys.astype(np.uint16), registered=True)
    again = all_in_focus((greys + 1e9).astype(kind), registered=True)
    assert np.abs(again.height - usual.height).mean() < 0.1
    assert np.abs(again.image.astype(np.float64) - 1e9 - usual.image).mean() < 2
    other = followed(again, (greys + 1e9).astype(kind)).astype(np.float64) - 1e9
    assert np.abs(other - usual.image).mean() < 2


def test_the_offset_of_a_camera_hides_no_detail(sharp: np.ndarray) -> None:
    greys = (100 * two_halves(sharp)).clip(0)
    usual, again = (
        all_in_focus((greys + offset).astype(np.uint16), registered=True)
        for offset in (100, 60_000)
    )
    assert np.abs(again.height - usual.height).mean() < 0.01
    assert again.confidence.mean() > 0.9


@pytest.mark.parametrize("value", [np.nan, np.inf, np.ma.masked])
@pytest.mark.parametrize("registered", [True, False])
def test_pixels_without_a_value_are_refused_and_do_not_spread(
    sharp: np.ndarray, found: AllInFocus, value: Any, registered: bool
) -> None:
    stack = np.ma.MaskedArray(two_halves(sharp))
    stack[1, 90, 90] = value
    with pytest.raises(ImageError, match="NaN, infinite or masked"):
        all_in_focus(stack, registered=registered)
    with pytest.raises(ImageError, match="NaN, infinite or masked"):
        followed(found, stack)
