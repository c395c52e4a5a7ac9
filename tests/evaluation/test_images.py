"""Which images are judged, and how they are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.evaluation.evaluate import EvaluationOptions, evaluation_steps
from napari_mdeblurgan.evaluation.images import (
    FUNDUS_EDGE,
    find_images,
    fundus_squares,
    to_judge_by,
)
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import read_image, write_image
from tests.several_images import write_series

from .conftest import discs, write


def test_grey_and_colour_are_told_apart_in_nested_folders(tmp_path: Path) -> None:
    write(tmp_path / "a" / "grey.png", discs())
    write(tmp_path / "b" / "colour.png", np.stack([discs(), discs(), 1 - discs()], axis=-1))
    write(tmp_path / "c" / "grey in colours.png", np.stack([discs()] * 3, axis=-1))
    found = {image.name: image for image in find_images(tmp_path)[0]}
    assert {name: image.colour for name, image in found.items()} == {
        "a/grey.png": False,
        "b/colour.png": True,
        "c/grey in colours.png": False,
    }
    np.testing.assert_array_equal(found["c/grey in colours.png"].read(), found["a/grey.png"].read())


def test_sixteen_bits_are_scaled_from_minimum_to_maximum_and_eight_are_not(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", (1000 + 500 * discs()).astype(np.uint16))
    write(tmp_path / "b.png", 0.5 * discs())
    sixteen, eight = (image.read() for image in find_images(tmp_path)[0])
    assert (sixteen.min(), sixteen.max()) == (0, 1)
    assert eight.max() < 0.6


def test_an_odd_row_that_makes_no_whole_block_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.png", discs()[:91, :77])
    assert find_images(tmp_path)[0][0].read(2).shape == (90, 76)


def test_of_a_large_image_the_middle_is_judged(tmp_path: Path) -> None:
    image = np.zeros((70, 2148), np.uint8)
    image[:, 50:2098] = 200
    tifffile.imwrite(tmp_path / "a.tif", image)
    (found,) = find_images(tmp_path)[0]
    assert (found.read() * 255 == 200).all()


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    write(tmp_path / "good.png", discs())
    (tmp_path / "broken.png").write_bytes(b"no image")
    found, skipped = find_images(tmp_path)
    assert [image.name for image in found] == ["good.png"]
    assert len(skipped) == 1
    assert "broken.png" in skipped[0]


def test_images_of_one_value_and_broken_pixels_are_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path / "good.png", discs())
    write(tmp_path / "blank.png", np.full((80, 80), 0.4))
    tifffile.imwrite(tmp_path / "nan.tif", np.where(discs() > 0.5, np.nan, 1).astype(np.float32))
    kept, skipped = to_judge_by(find_images(tmp_path)[0])
    assert [image.name for image in kept] == ["good.png"]
    assert "blank.png shows nothing: all its pixels have the same value." in skipped[0]
    assert "nan.tif has values that are not finite" in skipped[1]


def test_a_folder_of_nothing_but_blank_images_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "blank.png", np.full((80, 80), 0.4))
    options = EvaluationOptions(
        folder=tmp_path, output=tmp_path / "report", models=("gray-x2",), device="cpu"
    )
    with pytest.raises(FileError, match=r"has no image to judge by: .*blank\.png shows nothing"):
        finished(evaluation_steps(options))


def test_results_of_this_program_are_no_truth_to_judge_by(tmp_path: Path) -> None:
    write(tmp_path / "good.png", discs())
    write_image(tmp_path / "sharp.tif", replace(read_image(tmp_path / "good.png"), restored=True))
    found, skipped = find_images(tmp_path)
    assert [image.name for image in found] == ["good.png"]
    assert skipped == [
        f"{tmp_path / 'sharp.tif'} is a result of this program: no truth to judge by."
    ]


def test_masks_beside_images_are_no_truth_to_judge_by(tmp_path: Path) -> None:
    write(tmp_path / "cell.png", discs())
    masks = np.kron(np.arange(1, 13, dtype=np.uint16).reshape(3, 4), np.ones((40, 40), np.uint16))
    tifffile.imwrite(tmp_path / "cell_masks.tif", masks * 7)
    found, (reason,) = find_images(tmp_path)
    assert [image.name for image in found] == ["cell.png"]
    assert "cell_masks.tif looks like a label map" in reason


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no image"):
        find_images(tmp_path)


def test_the_retina_of_scikit_image_is_cut_into_the_papers_squares_without_a_download() -> None:
    squares, skipped, words = fundus_squares(None)
    assert len(squares) == 4
    assert not skipped
    assert "scikit-image" in words
    assert all(square.read().shape == (FUNDUS_EDGE, FUNDUS_EDGE, 3) for square in squares)


def test_squares_of_black_surroundings_are_left_out(tmp_path: Path) -> None:
    image = np.zeros((520, 1040, 3), np.uint8)
    image[:, 520:] = 120
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb")
    (square,) = fundus_squares(tmp_path)[0]
    assert square.x > 500


def test_all_images_of_a_file_are_judged_each_of_its_own_pixels(tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.ome.tif", size=(70, 80))
    found, skipped = find_images(tmp_path)
    assert not skipped
    assert [image.name for image in found] == [
        f"a.ome.tif [{name}]" for name in ("left", "middle", "right")
    ]
    for number, image in enumerate(found):
        np.testing.assert_array_equal(
            image.read(), tifffile.imread(path, series=number) / np.float32(255)
        )
