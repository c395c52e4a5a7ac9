"""Results with their record and maps in files: all of it or nothing, in bounded memory, with a
share to be told.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.storage.map_places import map_path, maps_path
from napari_mdeblurgan.storage.provenance import (
    entries_of,
    is_result,
    json_values,
    read_provenance,
    record_of,
)
from napari_mdeblurgan.trust.record import verdict_of
from napari_mdeblurgan.trust.saving import map_image, result_path, save_result

ENDINGS = pytest.mark.parametrize("ending", [".ome.tif", ".ome.tiff", ".ome.zarr", ".zarr"])
RECORD = record_of(
    [{"made": {"model": "m", "window": [(0.0, 1.5)]}, "trust": {"sentence": "<&> µ \x07 fine"}}]
)


def result(**more: Any) -> Micrograph:
    data = np.arange(48 * 40, dtype=np.uint16).reshape(48, 40)
    return Micrograph(
        data, "YX", {"Y": 0.5, "X": 0.25}, "µm", name="a", restored=True, provenance=RECORD, **more
    )


def maps_of(image: Micrograph) -> dict[str, Micrograph]:
    error, choice = np.ones((48, 40), np.float32), np.full((24, 20), 2, np.uint8)
    return {
        name: map_image(name, data, image, 2, [])
        for name, data in (("error", error), ("choice", choice))
    }


@ENDINGS
def test_a_record_is_read_as_it_was_written_and_the_file_is_known_for_a_result(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"a{ending}"
    write_image(path, result())
    assert read_provenance(path) == RECORD
    assert is_result(path)
    np.testing.assert_array_equal(read_image(path).data, result().data)


def test_a_file_without_a_record_has_an_empty_one(tmp_path: Path) -> None:
    plain = Micrograph(np.zeros((8, 8), np.uint8), "YX")
    for name in ("a.ome.tif", "a.tif", "a.png", "a.ome.zarr"):
        write_image(tmp_path / name, plain)
        assert read_provenance(tmp_path / name) == {}
    (tmp_path / "cut.ome.tif").write_bytes((tmp_path / "a.ome.tif").read_bytes()[:100])
    assert (
        read_provenance(tmp_path / "cut.ome.tif")
        == read_provenance(tmp_path / "none.ome.tif")
        == {}
    )


@ENDINGS
def test_a_result_and_its_maps_lie_on_each_other(tmp_path: Path, ending: str) -> None:
    path, image = tmp_path / f"a{ending}", result(position={"Y": 3.0, "X": 4.0})
    written = save_result(path, image, maps_of(image), replace=False)
    places = [
        (maps_path if ending.endswith("zarr") else map_path)(path, name)
        for name in ("error", "choice")
    ]
    assert written == ([path] if ending.endswith("zarr") else [path, *places])
    error, choice = (read_image(place) for place in places)
    assert error.pixel_size == image.pixel_size
    assert choice.pixel_size == {"Y": 1.0, "X": 0.5}
    assert choice.position == {"Y": 3.25, "X": 4.125}
    assert np.all(choice.data == 2)


@ENDINGS
def test_the_share_grows_from_nothing_to_all_with_the_maps(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.storage.writing.TOLD_BYTES", 0)
    image, shares = result(), list[float]()
    save_result(tmp_path / f"a{ending}", image, maps_of(image), replace=False, tell=shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] > 0.5


@ENDINGS
def test_a_large_lazy_result_is_never_whole_in_memory(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.storage.writing.TOLD_BYTES", 0)
    monkeypatch.setattr("napari_mdeblurgan.storage.reading.whole", lambda _: pytest.fail("loaded"))
    read: list[float] = []
    blocks = da.ones((8, 256, 512), chunks=(1, 128, 128), dtype=np.uint8)
    counted = blocks.map_blocks(
        lambda block: (read.append(1), block)[1], dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8)
    )
    waiting: list[int] = []
    done = 0

    def tell(share: float) -> None:
        nonlocal done
        waiting.append(len(read) - round(share * 64))

    save_result(tmp_path / f"a{ending}", Micrograph(counted, "ZYX"), {}, replace=False, tell=tell)
    assert len(read) == 64
    assert max(waiting) <= 8


@ENDINGS
@pytest.mark.parametrize("after", [0.0, 0.6])
def test_what_is_raised_on_the_way_leaves_nothing_and_what_was_there(
    tmp_path: Path, ending: str, after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.storage.writing.TOLD_BYTES", 0)
    path, image = tmp_path / f"a{ending}", result()
    save_result(path, image, maps_of(image), replace=False)
    before = {each.name for each in tmp_path.iterdir()}

    def tell(share: float) -> None:
        if share >= after:
            raise KeyboardInterrupt

    other = Micrograph(image.data[::-1], "YX", restored=True)
    with pytest.raises(KeyboardInterrupt):
        save_result(path, other, maps_of(other), replace=True, tell=tell)
    assert {each.name for each in tmp_path.iterdir()} == before
    np.testing.assert_array_equal(read_image(path).data, image.data)


@ENDINGS
def test_an_earlier_result_is_replaced_only_if_it_may_be(tmp_path: Path, ending: str) -> None:
    path, image = tmp_path / f"a{ending}", result()
    save_result(path, image, maps_of(image), replace=False)
    other = Micrograph(image.data[::-1], "YX", restored=True)
    with pytest.raises(FileError, match="is there already; choose another name"):
        save_result(path, other, {}, replace=False)
    if path.is_file():
        path.chmod(0o600)
    save_result(path, other, maps_of(other), replace=True)
    np.testing.assert_array_equal(read_image(path).data, other.data)
    assert path.is_dir() or os.name != "posix" or path.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob(".*"))


def test_a_map_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a-error.tif").write_bytes(b"precious")
    image = result()
    with pytest.raises(FileError, match=r"a-error\.tif is there already"):
        save_result(tmp_path / "a.ome.tif", image, maps_of(image), replace=True)
    assert (tmp_path / "a-error.tif").read_bytes() == b"precious"


def test_a_type_that_ome_tiff_has_not_is_said_with_the_one_that_has(tmp_path: Path) -> None:
    image = Micrograph(np.zeros((8, 8), np.int64), "YX")
    with pytest.raises(
        FileError,
        match=r"OME-TIFF cannot hold pixels of type int64; let the name end in \.ome\.zarr",
    ):
        save_result(tmp_path / "a.ome.tif", image, {}, replace=False)
    save_result(tmp_path / "a.ome.zarr", image, {}, replace=False)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a", "a.ome.tif"),
        ("a.ome.tif", "a.ome.tif"),
        ("a.OME.TIFF", "a.OME.TIFF"),
        ("a.tiff", "a.ome.tiff"),
        ("a.ome.zarr", "a.ome.zarr"),
        ("b.zarr", "b.zarr"),
        ("10 x 0.25", "10 x 0.25.ome.tif"),
    ],
)
def test_a_name_gets_the_ending_that_it_lacks(tmp_path: Path, typed: str, name: str) -> None:
    assert result_path(tmp_path / typed) == tmp_path / name


@pytest.mark.parametrize("typed", ["a.png", "a.jpg", "a.czi"])
def test_a_type_that_keeps_no_record_is_refused_with_those_that_do(
    tmp_path: Path, typed: str
) -> None:
    with pytest.raises(FileError, match=r"let its name end in \.ome\.tif or \.ome\.zarr"):
        result_path(tmp_path / typed)


def test_a_verdict_says_where_the_result_is_shown_otherwise_than_it_was_assessed() -> None:
    trust = {"sentence": "Good.", "softness": 0.5}
    assert verdict_of(trust, 0.5) == "Good."
    assert (
        verdict_of(trust, 1.0) == "Found for softness 0.5 px, and it is shown with 1 px now: Good."
    )
    assert (
        verdict_of({"sentence": 3}, 0.5) == verdict_of("Good.", 0.5) == verdict_of(None, 0.5) == ""
    )
    assert verdict_of({"sentence": "Good.", "softness": 10**400}, 0.5) == "Good."


def test_a_record_has_nothing_that_json_has_not() -> None:
    odd = {
        "a": (1, np.float32(0.5)),
        2: float("nan"),
        "b": {"c": Path("x")},
        "d": np.arange(2),
        "e": np.bool_(True),
    }
    assert json_values(odd) == {"a": [1, 0.5], "2": None, "b": {"c": None}, "d": [0, 1], "e": True}


@pytest.mark.parametrize(
    "record", [{}, {"version": 2, "layers": [{}]}, {"version": 1}, {"version": 1, "layers": 3}]
)
def test_a_record_of_a_later_version_or_of_something_else_has_no_entries(
    record: dict[str, Any],
) -> None:
    assert entries_of(record) == []
