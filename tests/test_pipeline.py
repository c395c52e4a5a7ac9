"""The one way from an image to its result: what is told, what is written, and that both routes do
the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError, ImageError, Unassessed
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.pipeline import (
    Assessing,
    Event,
    Looking,
    Planned,
    ResultInMemory,
    Softening,
    Written,
    carry_out,
)
from napari_mdeblurgan.request import Request, RequestInMemory
from napari_mdeblurgan.restoration import room
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.restoration.softened_result import softened_plane
from napari_mdeblurgan.storage import Micrograph, read_image
from napari_mdeblurgan.storage.map_places import maps_path
from napari_mdeblurgan.storage.provenance import entries_of, read_provenance
from napari_mdeblurgan.trust.assess import assess
from napari_mdeblurgan.trust.mapped import Mapped
from napari_mdeblurgan.trust.verdict import verdict_on

Models = Callable[..., Model]
EXACT = {"precision": "float32", "device": "cpu", "tile": 64}
BOTH = pytest.mark.parametrize("ending", [".tif", ".ome.tif", ".ome.zarr"])


@pytest.fixture
def image() -> Micrograph:
    data = np.random.default_rng(0).integers(100, 4000, (2, 70, 90)).astype(np.uint16)
    return Micrograph(
        da.from_array(data, chunks=50), "CYX", {"X": 0.5, "Y": 0.5}, "µm", name="cells"
    )


def told(image: Micrograph, model: Model, request: Request) -> tuple[list[Event], list[Progress]]:
    """All that is told, in order: of progress and of the rest."""
    steps = list(carry_out(image, model, request))
    progress = [step for step in steps if isinstance(step, Progress)]
    return [step for step in steps if not isinstance(step, Progress)], progress


@BOTH
def test_the_result_alone_is_planned_restored_and_written(
    tiny_model: Models, image: Micrograph, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"sharp{ending}"
    (planned, written), progress = told(image, tiny_model(), Request(output=path, options=EXACT))
    assert isinstance(planned, Planned)
    assert not planned.examinations
    assert written == Written(path, "2 × 140 × 180 (CYX)")
    assert (progress[0].done, progress[-1].fraction) == (0, 1)
    if ending != ".tif":  # which keeps no record
        assert "trust" not in entries_of(read_provenance(path))[0]


@BOTH
@pytest.mark.parametrize(
    "trouble", [MemoryError(), OSError("NAS is gone"), ImageError("No."), KeyError("x")]
)
def test_a_result_that_cannot_be_assessed_is_written_all_the_same(
    tiny_model: Models,
    image: Micrograph,
    tmp_path: Path,
    ending: str,
    trouble: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(Mapped, "read", fails)
    path, picture = tmp_path / f"sharp{ending}", tmp_path / "picture.png"
    request = Request(output=path, options=EXACT, maps=True, picture=picture)
    with pytest.raises(Unassessed, match="is whole, but") as caught:
        told(image, tiny_model(), request)
    assert str(caught.value).startswith(str(path))
    assert read_image(path).data.shape == (2, 140, 180)
    assert picture.exists() == (ending != ".ome.zarr")


@BOTH
def test_the_same_is_made_where_the_caller_has_told_numpy_to_raise_errors(
    tiny_model: Models, image: Micrograph, tmp_path: Path, ending: str
) -> None:
    request = Request(output=tmp_path / f"sharp{ending}", options=EXACT, maps=True)
    with np.errstate(all="raise"):
        events, _ = told(image, tiny_model(), request)
    assert sum(isinstance(event, Assessing) for event in events) == 1
    assert isinstance(events[-1], Written)


@pytest.mark.parametrize("ensemble", [False, True])
def test_both_routes_make_and_tell_the_same(
    tiny_model: Models, image: Micrograph, tmp_path: Path, ensemble: bool
) -> None:
    windows = [(100, 4000), (100, 4000)]
    found, names = [], ("sharp.ome.tif", "sharp.ome.zarr")
    for name in names:
        request = Request(
            output=tmp_path / name,
            options=EXACT | {"window": windows},
            ensemble=ensemble,
            maps=True,
            report=tmp_path / f"{name}.html",
            picture=tmp_path / f"{name}.png",
        )
        events, _ = told(image, tiny_model(), request)
        assert [type(event) for event in events[:1]] == [Planned]
        assert sum(isinstance(event, Assessing) for event in events) == 1
        written = [event for event in events if isinstance(event, Written)]
        assert all(event.path.exists() for event in written)
        assert [event.path for event in written[-2:]] == [request.report, request.picture]
        found.append(([len(events[0].examinations)], sorted(event.what for event in written)))
    assert found[0] == found[1]
    one, other = (read_image(tmp_path / name) for name in names)
    np.testing.assert_allclose(one.data.astype(int), other.data.astype(int), atol=1)
    records = [entries_of(read_provenance(tmp_path / name))[0] for name in names]
    assert records[0]["made"] == records[1]["made"] | {"tile": records[0]["made"]["tile"]}
    assert records[0]["trust"]["headline"] == records[1]["trust"]["headline"]
    assert records[0]["trust"]["settings"] == records[1]["trust"]["settings"]


def test_an_assessment_of_what_is_whole_is_resumed_without_restoring(
    tiny_model: Models, image: Micrograph, tmp_path: Path
) -> None:
    path = tmp_path / "sharp.ome.zarr"
    told(image, tiny_model(), Request(output=path, options=EXACT))
    events, _ = told(image, tiny_model(), Request(output=path, options=EXACT, maps=True))
    assert [type(event) for event in events[:2]] == [Written, Assessing]
    with pytest.raises(FileError, match="is there already"):
        told(image, tiny_model(), Request(output=path, options=EXACT | {"tile": 128}, maps=True))


def test_a_scan_is_told_before_its_first_block_and_what_lies_there_can_be_reused(
    tiny_model: Models, image: Micrograph, tmp_path: Path
) -> None:
    request = Request(output=tmp_path / "sharp.ome.zarr", options=EXACT, reuses=True)
    steps = carry_out(image, tiny_model(), request)
    first = next(step for step in steps if isinstance(step, Planned))
    assert first.scan is not None
    assert first.scan.fraction == 0
    assert list(steps)[-1] == Written(request.output, "2 × 140 × 180 (CYX)")
    assert first.scan.fraction == 1
    for tile in (64, 128):  # it may have been made by an earlier version
        request = dataclasses.replace(request, options=EXACT | {"tile": tile})
        (planned, _), progress = told(image, tiny_model(), request)
        assert isinstance(planned, Planned)
        assert planned.scan is None
        assert planned.plan.windows == first.plan.windows
        assert planned.plan.tile == tile
        assert all(isinstance(step, Looking) for step in progress)


def test_what_is_assessed_may_be_softer_than_what_lies_on_disk_and_its_record_left_alone(
    tiny_model: Models, image: Micrograph, tmp_path: Path
) -> None:
    path = tmp_path / "sharp.ome.zarr"
    request = Request(output=path, options=EXACT, maps=True)
    told(image, tiny_model(), request)
    record, sharp = read_provenance(path), read_image(maps_path(path, "consistency")).data
    assert "trust" in entries_of(record)[0]
    request = dataclasses.replace(request, softness=3.0, records=False)
    told(image, tiny_model(), request)
    assert read_provenance(path) == record
    assert not np.array_equal(read_image(maps_path(path, "consistency")).data, sharp)


@BOTH
def test_what_cannot_be_restored_leaves_nothing_behind(
    tiny_model: Models, image: Micrograph, tmp_path: Path, ending: str
) -> None:
    with pytest.raises(ImageError, match="for RGB images"):
        told(
            image,
            tiny_model(3),
            Request(output=tmp_path / f"sharp{ending}", report=tmp_path / "page.html"),
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("scale", "fits"), [(4, False), (2, True)])
def test_memory_is_asked_for_what_the_models_own_factor_takes(
    tiny_model: Models,
    image: Micrograph,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scale: int,
    fits: bool,
) -> None:
    model, free = tiny_model(1, scale), image.data.nbytes * (1 + 3**2) / room.SHARE_OF_FREE
    memory = room.psutil.virtual_memory()._replace(available=int(free))
    with monkeypatch.context() as patched:
        patched.setattr(room.psutil, "virtual_memory", lambda: memory)
        steps = carry_out(image, model, Request(output=tmp_path / "sharp.tif", options=EXACT))
        if fits:
            assert isinstance(next(steps), Progress)
        else:
            with pytest.raises(FileError, match=r"let it end in \.ome\.zarr"):
                next(steps)
    steps.close()


@pytest.mark.parametrize("ensemble", [False, True])
def test_in_memory_the_same_is_made_as_in_a_file_and_nothing_is_written(
    tiny_model: Models, image: Micrograph, tmp_path: Path, ensemble: bool
) -> None:
    path = tmp_path / "sharp.ome.tif"
    told(image, tiny_model(), Request(output=path, options=EXACT, ensemble=ensemble, maps=True))
    there = sorted(tmp_path.iterdir())
    request = RequestInMemory(options=EXACT, ensemble=ensemble, maps=True)
    (planned, assessing, made), _ = told(image, tiny_model(), request)
    assert isinstance(planned, Planned)
    assert isinstance(assessing, Assessing)
    assert isinstance(made, ResultInMemory)
    assert made.bare is made.data
    np.testing.assert_array_equal(made.data, read_image(path).data)
    assert made.found is not None
    record = entries_of(read_provenance(path))[0]
    assert record["trust"]["headline"] == verdict_on(made.found).headline.document()
    assert sorted(tmp_path.iterdir()) == there


def test_a_softened_result_is_assessed_as_it_is_shown(
    tiny_model: Models, image: Micrograph
) -> None:
    request = RequestInMemory(options=EXACT | {"softness": 0}, maps=True, softness=1.5)
    (planned, *softening, _, made), _ = told(image, tiny_model(), request)
    assert len(softening) == 2  # one piece of each channel
    assert all(isinstance(step, Softening) for step in softening)
    expected = [softened_plane(plane, 1.5, rgb=False) for plane in made.bare]
    np.testing.assert_array_equal(made.data, expected)
    again = assess(image.data, made.data, planned.plan, tiny_model())
    bare = assess(image.data, made.bare, planned.plan, tiny_model())
    assert made.found.consistency == pytest.approx(again.consistency)
    assert made.found.consistency != pytest.approx(bare.consistency, rel=0.01)


def test_what_cannot_be_assessed_in_memory_is_returned_with_the_reason(
    tiny_model: Models, image: Micrograph, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Mapped, "read", fails)
    (*_, made), _ = told(image, tiny_model(), RequestInMemory(options=EXACT, maps=True))
    assert made.data.shape == (2, 140, 180)
    assert made.found is None
    assert isinstance(made.trouble, MemoryError)
