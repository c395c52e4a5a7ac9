"""Focus series and pairs whose blur and magnification are known: registered, and judged where they
should be.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_mdeblurgan.evaluation.real.cases import (
    CASE_BORDER,
    Case,
    LeftOut,
    binned_by_camera,
    cases,
    count,
    read_plane,
)
from napari_mdeblurgan.evaluation.real.sets import find_sets
from napari_mdeblurgan.focus import plane_registration as registering
from napari_mdeblurgan.focus.plane_registration import onto, resampled, series
from napari_mdeblurgan.storage import Micrograph, write_image

MAGNIFICATION, SHIFT = 1.03, np.array([2.3, -3.6])


def specimen(edge: int = 200) -> np.ndarray:
    """Cells with fine texture in them, float64 in 0 … 255, nothing finer than some 2 pixels."""
    random = np.random.default_rng(5)
    cells = ndimage.gaussian_filter(random.normal(size=(edge, edge)), 9)
    texture = ndimage.gaussian_filter(random.normal(size=(edge, edge)), 1.2)
    image = 60 * cells / cells.std() * 0.4 + 25 * texture / texture.std()
    return np.clip(128 + image, 0, 255)


def magnified(
    image: np.ndarray, magnification: float, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """An image seen larger about its middle and moved, and the transform from its pixels to those
    of the original.
    """
    middle = (np.array(image.shape) - 1) / 2
    transform = np.eye(3)
    transform[:2, :2] /= magnification
    transform[:2, 2] = middle - transform[:2, :2] @ (middle + shift)
    return ndimage.affine_transform(
        image, transform[:2, :2], transform[:2, 2], order=3, mode="mirror"
    ), transform


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8)).save(path)


def only(folder: Path) -> list[Case | LeftOut]:
    (real,), _ = find_sets(folder)
    found = list(cases(real))
    assert len(found) == count(real)
    return found


def test_a_defocused_plane_of_another_magnification_is_laid_on_the_sharp_one() -> None:
    sharp = specimen()
    moved, truth = magnified(sharp, MAGNIFICATION, SHIFT)
    blurred = ndimage.gaussian_filter(moved, 2.0)
    found = onto(blurred, sharp)
    for corner in np.array([(0, 0, 1), (0, 199, 1), (199, 0, 1), (199, 199, 1)], float):
        assert np.abs(found @ corner - truth @ corner).max() < 0.15


def test_planes_far_from_focus_are_laid_on_the_reference_by_way_of_those_between() -> None:
    sharp = specimen(160)
    planes, expected = [sharp], [np.eye(3)]
    for step in (1, 2, 3):
        moved, transform = magnified(sharp, 1 + 0.025 * step, step * SHIFT)
        planes.append(ndimage.gaussian_filter(moved, 1.5 * step))
        expected.append(transform)
    found = series(planes, [4.0, 3.0, 2.0, 1.0], 0)
    for place, transform in zip(found, expected, strict=True):
        assert place is not None
        for corner in np.array([(0, 0, 1), (0, 159, 1), (159, 0, 1), (159, 159, 1)], float):
            assert np.abs(place @ corner - transform @ corner).max() < 0.3


def test_large_planes_are_laid_on_each_other_at_half_their_size_without_a_shift(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registering, "LARGE", (200,))
    sharp = np.kron(specimen(120), np.ones((2, 2)))
    blurred = ndimage.gaussian_filter(sharp, 2.0)
    place = series([sharp, np.roll(blurred, (6, -4), (0, 1))], [2.0, 1.0], 0)[1]
    assert place is not None
    assert np.abs(place @ [100, 100, 1] - [94, 104, 1]).max() < 0.1


def test_a_series_with_a_plane_in_focus_is_judged_against_that_plane_resampled_on_the_others(
    tmp_path: Path,
) -> None:
    sharp = specimen()
    moved, transform = magnified(sharp, MAGNIFICATION, SHIFT)
    save(tmp_path / "0.png", sharp)
    save(tmp_path / "3.png", ndimage.gaussian_filter(moved, 2.0))
    save(tmp_path / "-1.png", ndimage.gaussian_filter(sharp, 0.5))
    (tmp_path / "real.toml").write_text(
        '[[set]]\nname = "cells"\nkind = "focus-series"\nimages = ["*.png"]\nin_focus = 0\nunit = '
        '"steps"\n'
    )
    near, far = only(tmp_path)
    assert isinstance(near, Case)
    assert isinstance(far, Case)
    assert (near.defocus, far.defocus, far.unit) == (-1, 3, "steps")
    assert far.image.shape == (100, 100)
    assert far.truth.shape == (200, 200)
    assert far.image.dtype == np.uint8
    expected = resampled(sharp, transform, (200, 200))
    assert np.abs(far.truth - expected)[far.judged].mean() < 0.7
    assert far.share > 0.7
    assert near.share == pytest.approx(
        (1 - 2 * CASE_BORDER / 200) ** 2, abs=0.03
    )  # less what is near to the plane's own edge


def test_without_one_in_focus_the_truth_is_the_sharpest_plane_where_that_is_clearly_sharper(
    tmp_path: Path,
) -> None:
    sharp = specimen()
    soft = ndimage.gaussian_filter(sharp, 2.5)
    left, right = sharp.copy(), sharp.copy()
    left[:, 100:], right[:, :100] = soft[:, 100:], soft[:, :100]
    save(tmp_path / "z1.png", left)
    save(tmp_path / "z2.png", right)
    (tmp_path / "real.toml").write_text(
        '[[set]]\nname = "thick"\nkind = "focus-series"\nimages = ["z*.png"]\nregistered = true\n'
    )
    for case, half in zip(only(tmp_path), (slice(130, None), slice(None, 70)), strict=True):
        assert isinstance(case, Case)
        assert case.defocus is None
        inner = np.zeros_like(case.judged)
        inner[CASE_BORDER:-CASE_BORDER, CASE_BORDER:-CASE_BORDER] = True
        assert (case.judged[:, half] == inner[:, half]).all()
        sharp_half = slice(None, 70) if half.start else slice(130, None)
        assert not case.judged[:, sharp_half].any()
        assert np.abs(case.truth - np.rint(sharp))[case.judged].mean() < 0.5


def test_a_folder_of_planes_is_one_series_counted_from_its_sharpest(tmp_path: Path) -> None:
    sharp = specimen()
    for number, sigma in ((4, 0.0), (5, 1.5), (6, 2.5)):
        save(tmp_path / f"plane_{number:02}.png", ndimage.gaussian_filter(sharp, sigma))
    first, *others = only(tmp_path)
    assert isinstance(first, LeftOut)
    assert first.name == "plane_04.png"
    assert [case.name for case in others if isinstance(case, Case)] == [
        "plane_05.png",
        "plane_06.png",
    ]


def test_a_plane_that_shows_another_place_is_left_out_by_name(tmp_path: Path) -> None:
    sharp = specimen(120)
    for number, sigma in ((1, 0.0), (2, 2.0)):
        save(tmp_path / f"{number}.png", ndimage.gaussian_filter(sharp, sigma))
    save(
        tmp_path / "3.png",
        ndimage.gaussian_filter(np.random.default_rng(9).uniform(0, 255, (120, 120)), 2) * 3 % 255,
    )
    found = only(tmp_path)
    assert isinstance(found[1], Case)
    assert isinstance(found[2], LeftOut)
    assert found[2].name == "3.png"


def test_equal_pixels_of_a_pair_keep_the_image_as_it_is(tmp_path: Path) -> None:
    sharp = specimen()
    save(tmp_path / "wide.png", ndimage.gaussian_filter(sharp, 1.5))
    save(tmp_path / "sim.png", sharp)
    (tmp_path / "real.toml").write_text(
        '[[set]]\nname = "sim"\nkind = "pairs"\nimages = ["wide.png"]\ntruth = '
        '"sim.png"\nregistered = true\n'
    )
    (case,) = only(tmp_path)
    assert isinstance(case, Case)
    assert (case.image == read_plane(tmp_path / "wide.png")).all()
    assert (case.truth == read_plane(tmp_path / "sim.png")).all()


def test_the_ratio_of_a_pair_is_that_of_the_pixel_sizes(tmp_path: Path) -> None:
    sharp = specimen()
    for name, image, size in (
        ("low", binned_by_camera(sharp.astype(np.float32)), 1.0),
        ("high", sharp.astype(np.float32), 0.5),
    ):
        write_image(tmp_path / f"{name}.tif", Micrograph(image, "YX", {"Y": size, "X": size}, "µm"))
    description = (
        '[[set]]\nname = "two"\nkind = "pairs"\nimages = ["low.tif"]\ntruth = '
        '"high.tif"\nregistered = true\n'
    )
    (tmp_path / "real.toml").write_text(description)
    (case,) = only(tmp_path)
    assert isinstance(case, Case)
    assert np.allclose(case.truth, sharp, atol=1e-3)
    (tmp_path / "real.toml").write_text(description + "ratio = 1\n")
    (out,) = only(tmp_path)
    assert isinstance(out, LeftOut)
    assert "200 × 200" in out.why


def test_a_pair_of_two_objectives_has_its_truth_on_twice_the_pixels(tmp_path: Path) -> None:
    sharp = specimen(400)
    low = binned_by_camera(ndimage.gaussian_filter(sharp, 2.0))
    save(tmp_path / "low.png", low)
    save(tmp_path / "high.png", sharp[60:340, 70:350])
    (tmp_path / "real.toml").write_text(
        '[[set]]\nname = "two"\nkind = "pairs"\nimages = ["low.png"]\ntruth = "high.png"\nratio = '
        "2\n"
    )
    (case,) = only(tmp_path)
    assert isinstance(case, Case)
    assert case.image.shape == (200, 200)
    assert case.truth.shape == (400, 400)
    assert not case.judged[:50].any()
    assert case.judged[80:320, 90:330].all()
    assert np.abs(case.truth - np.rint(sharp))[case.judged].mean() < 2.5


def test_binning_rounds_as_a_camera_would() -> None:
    assert binned_by_camera(np.array([[1, 2], [2, 2]], np.uint8)).tolist() == [[2]]
    assert binned_by_camera(np.ones((4, 6, 3), np.float32)).shape == (2, 3, 3)
