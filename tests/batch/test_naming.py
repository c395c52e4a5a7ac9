"""Names of results: never the same, never an input's, and the same every time."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from napari_mdeblurgan.batch import Source
from napari_mdeblurgan.batch.naming import name_results


def source(place: str, path: Path | None = None) -> Source:
    return Source(str(path or place), place, PurePosixPath(place), path)


def names(*places: str, known: dict[str, str] | None = None) -> list[str]:
    sources = [
        Source(f"{number}", place, PurePosixPath(place)) for number, place in enumerate(places)
    ]
    return list(name_results(sources, ".ome.tif", Path("/out"), known or {}).values())


def test_the_same_stem_gets_a_number() -> None:
    assert names("a", "a", "b", "a") == ["a.ome.tif", "a-2.ome.tif", "b.ome.tif", "a-3.ome.tif"]


def test_names_that_differ_only_in_case_or_in_how_accents_are_written_count_as_the_same() -> None:
    composed, apart = (unicodedata.normalize(form, "Zelle-ä") for form in ("NFC", "NFD"))
    assert names("A", "a", composed, apart) == [
        "A.ome.tif",
        "a-2.ome.tif",
        f"{composed}.ome.tif",
        f"{apart}-2.ome.tif",
    ]


def test_a_number_does_not_take_the_name_of_another_image() -> None:
    assert names("a", "a", "a-2") == ["a.ome.tif", "a-2.ome.tif", "a-2-2.ome.tif"]


def test_folders_are_kept() -> None:
    assert names("day1/a", "day2/a") == ["day1/a.ome.tif", "day2/a.ome.tif"]


def test_names_that_were_given_before_are_kept_and_not_given_again() -> None:
    assert names("b/a", "a", known={"1": "a.ome.tif", "7": "b/a.ome.tif"}) == [
        "b/a-2.ome.tif",
        "a.ome.tif",
    ]


def test_no_result_has_the_name_of_an_input(tmp_path: Path) -> None:
    given_name = source("a", tmp_path / "A.ome.tif")
    assert name_results([given_name], ".ome.tif", tmp_path, {}) == {given_name.key: "a-2.ome.tif"}


def test_what_some_file_systems_do_not_take_is_replaced() -> None:
    assert names("10:30 <DAPI>?", "con", "a. ", ".a") == [
        "10_30 _DAPI__.ome.tif",
        "_con.ome.tif",
        "a.ome.tif",
        "_.a.ome.tif",
    ]


@given(
    st.lists(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1),
        max_size=12,
    )
)
def test_names_never_collide_and_fit_every_file_system(stems: list[str]) -> None:
    found = names(*(stem for stem in stems if stem not in (".", "..")))
    assert len({unicodedata.normalize("NFC", name.casefold()) for name in found}) == len(found)
    assert all(len(name.encode()) <= 200 and not name.startswith(".") for name in found)


def test_long_names_that_differ_at_their_end_stay_different() -> None:
    long = names("ä" * 200 + "1", "ä" * 200 + "2")
    assert len(set(long)) == 2
    assert all(len(name.encode()) < 200 for name in long)
