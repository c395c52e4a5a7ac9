"""Low and high that were given the wrong way round: told in data, and mended by exchanging them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_mdeblurgan.pairs import ImagePair, PairFiles, exchanged, register_all
from napari_mdeblurgan.storage import Micrograph, write_image


def test_a_pair_that_is_swapped_by_its_content_is_accepted_once_exchanged(make) -> None:
    right = make(11, pixel_sizes=None).pair
    wrong = ImagePair("wrong", right.high, right.low)
    (found,) = register_all([wrong])
    assert found.swapped
    assert not found.accepted
    (mended,) = register_all([exchanged(wrong)])
    assert mended.accepted
    assert not mended.swapped


def test_files_that_are_swapped_by_their_pixel_sizes_keep_their_name_and_images_when_exchanged(
    make, tmp_path: Path
) -> None:
    pair = make().pair
    for name, image, size in (("low", pair.low, 1.0), ("high", pair.high, 0.5)):
        sized = Micrograph(image.data, image.axes, {"Y": size, "X": size}, "µm")
        write_image(tmp_path / f"{name}.tif", sized)
    wrong = PairFiles("field", tmp_path / "high.tif", tmp_path / "low.tif")
    (found,) = register_all([wrong])
    assert found.swapped
    assert found.pair is None
    (mended,) = register_all([exchanged(wrong)])
    assert mended.accepted
    assert mended.name == "field"
    named = replace(wrong, low_image="sharp", high_image="blurred")
    assert exchanged(named) == PairFiles(
        "field", tmp_path / "low.tif", tmp_path / "high.tif", "blurred", "sharp"
    )


def test_two_other_places_are_refused_but_not_called_swapped(make) -> None:
    (found,) = register_all([ImagePair("two", make(1).pair.low, make(2).pair.high)])
    assert not found.accepted
    assert not found.swapped
