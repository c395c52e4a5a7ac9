"""Which files belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.pairs import PairError, match_folders, read_table, register_all
from napari_mdeblurgan.pairs.many import read_pair
from tests.several_images import write_plate, write_series


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(folder / name)
    return folder


def together(found) -> list[tuple[str, str, str]]:
    return [(pair.name, pair.low.name, pair.high.name) for pair in found.pairs]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("field_1.tif", "field_1.png"),
        ("field_1_x5.tif", "field_1_x10.tif"),
        ("field_1-5x.tif", "field_1-10x.tif"),
        ("x5 field_1.tif", "x10 field_1.tif"),
        ("field_1 (×5).tif", "field_1 (×10).tif"),
        ("field_1_low.tif", "field_1_high.tif"),
        ("Field_1_LR.tif", "field_1_HR.tif"),
        ("field_1_2.5x.tif", "field_1_10x.tif"),
    ],
)
def test_names_that_differ_in_the_objective_belong_together(
    tmp_path: Path, low: str, high: str
) -> None:
    found = match_folders(
        fill(tmp_path / "a", low, "other_x5.tif"), fill(tmp_path / "b", high, "another_x10.tif")
    )
    assert [pair[1:] for pair in together(found)] == [(low, high)]
    assert len(found.left_out) == 2
    assert all("has no namesake" in sentence for sentence in found.left_out)


def test_positions_that_look_like_magnifications_stay_apart(tmp_path: Path) -> None:
    low = fill(tmp_path / "a", "pos_x12_y1_x5.tif", "pos_x13_y1_x5.tif")
    high = fill(tmp_path / "b", "pos_x12_y1_x10.tif", "pos_x13_y1_x10.tif")
    assert [pair[1:] for pair in together(match_folders(low, high))] == [
        ("pos_x12_y1_x5.tif", "pos_x12_y1_x10.tif"),
        ("pos_x13_y1_x5.tif", "pos_x13_y1_x10.tif"),
    ]


def test_subfolders_are_matched_with_their_likes(tmp_path: Path) -> None:
    low, high = (
        fill(tmp_path / "a", "day1/1.tif", "day2/1.tif"),
        fill(tmp_path / "b", "day1/1.tif", "day2/1.tif"),
    )
    found = match_folders(low, high)
    assert [pair.name for pair in found.pairs] == ["day1/1", "day2/1"]
    assert all(pair.low.parent.name == pair.high.parent.name for pair in found.pairs)


def test_one_folder_of_both_is_split_by_the_names(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a_x10.tif", "a_x5.tif", "b_20x.tif", "b_5x.tif", "overview.tif")
    found = match_folders(folder, folder)
    assert together(found) == [("a", "a_x5.tif", "a_x10.tif"), ("b", "b_5x.tif", "b_20x.tif")]
    assert len(found.left_out) == 1
    assert "overview.tif" in found.left_out[0]


def test_order_counts_as_people_do(tmp_path: Path) -> None:
    low, high = fill(tmp_path / "a", "p10.tif", "p2.tif"), fill(tmp_path / "b", "q1.tif", "q3.tif")
    assert together(match_folders(low, high)) == [
        ("p2", "p2.tif", "q1.tif"),
        ("p10", "p10.tif", "q3.tif"),
    ]


def test_order_is_used_only_on_demand_where_names_match(tmp_path: Path) -> None:
    low, high = fill(tmp_path / "a", "1.tif", "2.tif"), fill(tmp_path / "b", "2.tif", "3.tif")
    assert [pair[1:] for pair in together(match_folders(low, high))] == [("2.tif", "2.tif")]
    assert [pair[1:] for pair in together(match_folders(low, high, "order"))] == [
        ("1.tif", "2.tif"),
        ("2.tif", "3.tif"),
    ]


def test_other_names_and_other_counts_are_refused(tmp_path: Path) -> None:
    low, high = fill(tmp_path / "a", "p.tif", "q.tif"), fill(tmp_path / "b", "r.tif")
    with pytest.raises(PairError, match=r"has 2 images and .* has 1"):
        match_folders(low, high)
    with pytest.raises(PairError, match="namesake"):
        match_folders(low, high, "name")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(FileError, match="no image"):
        match_folders(fill(tmp_path / "a", "p.tif"), tmp_path / "b")


@pytest.mark.parametrize(
    "text",
    [
        "a.tif,b.tif\n",
        "low;high;name\na.tif;b.tif;a\n",
        "\ufeffname\thigh\tlow\na\tb.tif\ta.tif\n",
        "Low, High\na.tif, b.tif\n\n",
        "sep=;\nhigh;low\nb.tif;a.tif\n",
        '"sep=,"\r\nhigh,low\r\nb.tif,a.tif\r\n',
    ],
)
def test_a_table_names_the_files(tmp_path: Path, text: str) -> None:
    fill(tmp_path, "a.tif", "b.tif")
    (tmp_path / "pairs.csv").write_text(text, encoding="utf-8")
    assert together(read_table(tmp_path / "pairs.csv")) == [("a", "a.tif", "b.tif")]


def test_a_table_may_separate_folders_as_windows_does(tmp_path: Path) -> None:
    fill(tmp_path, "day 1/a.tif", "day 1/b.tif")
    (tmp_path / "pairs.csv").write_text(
        "low;high\nday 1\\a.tif;.\\day 1\\b.tif\nday 1\\a.tif;C:\\data\\c.tif\n"
    )
    found = read_table(tmp_path / "pairs.csv")
    assert "C:\\data\\c.tif, which does not exist" in found.left_out[0]
    assert together(found) == [("a", "a.tif", "b.tif")]
    assert found.pairs[0].low == tmp_path / "day 1/a.tif"


def test_a_bad_row_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    fill(tmp_path, "a.tif", "b.tif")
    (tmp_path / "pairs.csv").write_text("a.tif,b.tif\na.tif,gone.tif\na.tif\na.tif,b.tif\n")
    found = read_table(tmp_path / "pairs.csv")
    assert [pair.name for pair in found.pairs] == ["a", "a (2)"]
    assert "Row 2" in found.left_out[0]
    assert "gone.tif" in found.left_out[0]
    assert "Row 3" in found.left_out[1]


def test_a_table_without_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("low,high\nx.tif,y.tif\n")
    with pytest.raises(PairError, match="names no pair"):
        read_table(tmp_path / "pairs.csv")


def images_of(found) -> list[tuple[str, str | None, str | None]]:
    return [(pair.name, pair.low_image, pair.high_image) for pair in found.pairs]


def test_of_files_of_several_images_those_of_one_name_belong_together(tmp_path: Path) -> None:
    write_series(tmp_path / "low" / "a.ome.tif", ["one", "two", "three"])
    write_series(tmp_path / "high" / "a.ome.tif", ["two", "one", "four"])
    found = match_folders(tmp_path / "low", tmp_path / "high")
    assert images_of(found) == [("a one", "one", "one"), ("a two", "two", "two")]
    low, high = (tmp_path / side / "a.ome.tif" for side in ("low", "high"))
    assert found.left_out == (
        f"{low} [three] has no namesake in {high}.",
        f"{high} [four] has no namesake in {low}.",
    )
    assert read_pair(found.pairs[0]).low.data[0, 0] == 0
    assert read_pair(found.pairs[0]).high.data[0, 0] == 1


def test_of_as_many_images_of_other_names_those_at_the_same_place_belong_together(
    tmp_path: Path,
) -> None:
    write_series(tmp_path / "low" / "a.ome.tif", ["x5 first", "x5 second"])
    write_series(tmp_path / "high" / "a.ome.tif", ["x10 first", "x10 second"])
    found = match_folders(tmp_path / "low", tmp_path / "high")
    assert [pair[1:] for pair in images_of(found)] == [
        ("x5 first", "x10 first"),
        ("x5 second", "x10 second"),
    ]


def test_where_nothing_tells_which_images_belong_together_the_files_are_left_out(
    tmp_path: Path,
) -> None:
    write_series(tmp_path / "low" / "a.ome.tif", ["one", "two"])
    fill(tmp_path / "high", "a.png")
    with pytest.raises(
        PairError,
        match=r"holds 2 images and .*a\.png 1 image, and neither their names nor their order",
    ):
        match_folders(tmp_path / "low", tmp_path / "high")


def test_a_table_may_name_an_image_of_a_file(tmp_path: Path) -> None:
    write_series(tmp_path / "a.ome.tif", ["one", "two"])
    write_plate(tmp_path / "plate.zarr")
    (tmp_path / "pairs.csv").write_text(
        "low,low_image,high,high_image\na.ome.tif,two,plate.zarr,B/2/1\n"
    )
    [pair] = read_table(tmp_path / "pairs.csv").pairs
    images = read_pair(pair)
    assert (images.low.data[0, 0], images.high.data[0, 0]) == (1, 3)


def test_folders_and_tables_may_be_named_as_text(tmp_path: Path) -> None:
    low, high = fill(tmp_path / "low", "a.tif"), fill(tmp_path / "high", "a.tif")
    found = match_folders(str(low), str(high))
    assert found == match_folders(low, high)
    (tmp_path / "pairs.csv").write_text("low/a.tif,high/a.tif\n")
    assert read_table(str(tmp_path / "pairs.csv")).pairs == found.pairs


def test_an_unknown_way_to_match_and_what_is_no_pair_are_refused_in_words(tmp_path: Path) -> None:
    fill(tmp_path, "a_x5.tif", "a_x10.tif")
    with pytest.raises(PairError, match="no way 'nmae' to match files; choose auto, name, order"):
        match_folders(tmp_path, tmp_path, "nmae")
    matched = match_folders(tmp_path, tmp_path)
    with pytest.raises(PairError, match=r"This Matched is no list of pairs; give .* the `pairs`"):
        list(register_all(matched))
    with pytest.raises(PairError, match="This str is no pair"):
        list(register_all(["a"]))
