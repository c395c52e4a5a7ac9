"""Overlays, the table, and many pairs one after the other."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_mdeblurgan.pairs import (
    ImagePair,
    PairFiles,
    RegisteredPair,
    checkerboard,
    magenta_green,
    register_all,
    register_images,
    side_by_side,
)
from napari_mdeblurgan.pairs.table import PAIR_COLUMNS, overlay_stems, write_overlays, write_table
from napari_mdeblurgan.storage import Micrograph, read_image, write_image


@pytest.fixture(scope="module")
def pair(make) -> RegisteredPair:
    return register_images(make(20).pair)


def difference(picture: np.ndarray, where: np.ndarray) -> float:
    """Mean of green less magenta, without its sign."""
    return float(np.abs(picture[..., 1].astype(float) - picture[..., 0])[where].mean())


def test_a_pair_that_fits_is_grey_and_one_that_does_not_is_coloured(pair) -> None:
    picture = magenta_green(pair)
    assert picture.dtype == np.uint8
    assert picture.shape == (*pair.high.shape[1:], 3)
    moved = magenta_green(replace(pair, high=np.roll(pair.high, 20, axis=2)))
    inside = np.zeros(pair.valid.shape, bool)
    inside[30:-30, 30:-30] = True
    assert difference(picture, inside) < 0.4 * difference(moved, inside)


def test_the_checkerboard_shows_the_high_image_as_it_is_in_every_other_square(pair) -> None:
    picture, both = checkerboard(pair), side_by_side(pair)
    width = pair.high.shape[2]
    low, high = both[:, :width], both[:, width + 4 :]
    edge = min(picture.shape[:2]) // 8
    np.testing.assert_array_equal(picture[:edge, :edge], low[:edge, :edge])
    np.testing.assert_array_equal(picture[:edge, edge : 2 * edge], high[:edge, edge : 2 * edge])


def test_a_bad_pair_is_named_and_the_rest_goes_on(make, tmp_path) -> None:
    good = make(20).pair
    write_image(tmp_path / "low.tif", good.low)
    (tmp_path / "high.tif").write_bytes(b"II*\0 no image")
    flat = ImagePair("flat", good.low, replace(good.high, data=np.zeros_like(good.high.data)))
    outcomes = list(
        register_all(
            [PairFiles("damaged", tmp_path / "low.tif", tmp_path / "high.tif"), flat, good]
        )
    )
    assert [(each.name, each.accepted) for each in outcomes] == [
        ("damaged", False),
        ("flat", False),
        (good.name, True),
    ]
    assert "high.tif" in outcomes[0].problems[0]
    assert "empty" in outcomes[1].problems[0]


def test_the_table_says_where_the_field_is_and_why_a_pair_failed(make, tmp_path) -> None:
    made = make(20)
    outcomes = list(
        register_all(
            [made.pair, ImagePair("wrong", made.pair.low, Micrograph(np.zeros((40, 40)), "YX"))]
        )
    )
    write_table(tmp_path / "pairs.csv", outcomes)
    with (tmp_path / "pairs.csv").open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file)
    assert tuple(first) == tuple(PAIR_COLUMNS)
    assert (first["accepted"], second["accepted"]) == ("yes", "failed")
    assert float(first["centre_y"]) == pytest.approx((150 - 0.5) / 2, abs=0.2)
    assert float(first["centre_x"]) == pytest.approx((210 - 0.5) / 2, abs=0.2)
    assert "empty" in second["problems"]


def test_a_pair_whose_name_is_not_utf_8_has_a_row_all_the_same(make, tmp_path) -> None:
    made = make(20).pair
    write_table(tmp_path / "pairs.csv", register_all([replace(made, name="caf\udce9")]))
    assert "caf\N{REPLACEMENT CHARACTER}," in (tmp_path / "pairs.csv").read_text(
        encoding="utf-8-sig"
    )


def test_overlays_are_written_under_names_that_files_may_have(pair, tmp_path) -> None:
    (stem,) = overlay_stems(["day 1/field: 2"])
    paths = write_overlays(tmp_path, pair, stem)
    assert [path.name for path in paths] == [
        "day 1_field_ 2.magenta-green.png",
        "day 1_field_ 2.checkerboard.png",
    ]
    np.testing.assert_array_equal(read_image(paths[0]).data, magenta_green(pair))


def test_no_two_pairs_have_overlays_of_one_name() -> None:
    assert overlay_stems(["a/b", "a:b", "A_B", "a_b-2", "..", ""]) == [
        "a_b",
        "a_b-2",
        "A_B-3",
        "a_b-2-2",
        "pair",
        "pair-2",
    ]
