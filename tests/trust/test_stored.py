"""The maps of a result on disk: as if made in one piece, gone on with, never looking whole when
they are not.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.model import Model, save_model
from napari_mdeblurgan.restoration import fitting
from napari_mdeblurgan.restoration.scan import Scan, open_scan
from napari_mdeblurgan.restoration.scan_job import plan_of_finished
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph, open_image, read_image
from napari_mdeblurgan.storage.map_places import maps_path
from napari_mdeblurgan.trust import explanation, mapped
from napari_mdeblurgan.trust import trust_plan as planning
from napari_mdeblurgan.trust.assess import Assessment, assess
from napari_mdeblurgan.trust.mapped import Mapped
from napari_mdeblurgan.trust.stored import StoredMaps, assess_stored_steps
from napari_mdeblurgan.trust.trust_plan import AssessmentOptions

Models = Callable[..., Model]
# of what is assessed at a time; results are made, and looked into, in twice as large tiles, as
# those of users are
EDGE = 64
WISHES: dict[str, Any] = {"tile": 128, "precision": "float32", "device": "cpu"}


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "LARGEST_TILE", EDGE)


def scanned(source: Micrograph, model: Model, path: Path, **wishes: Any) -> Scan:
    scan = open_scan(source, model, path, **WISHES, **wishes)
    finished(scan.steps())
    return scan


@pytest.fixture
def plane() -> Micrograph:
    data = np.random.default_rng(0).integers(0, 256, (150, 210), dtype=np.uint8)
    return Micrograph(
        da.from_array(data, chunks=70), "YX", {"X": 0.5, "Y": 0.5}, "µm", name="cells"
    )


@pytest.fixture
def small(plane: Micrograph) -> Micrograph:
    """A part of it of six tiles, for what is done in eight orientations."""
    return replace(plane, data=plane.data[:110, :140])


def in_one_piece(
    source: Micrograph,
    scan: Scan,
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    wishes: AssessmentOptions | None = None,
) -> Assessment:
    monkeypatch.setattr(fitting, "LARGEST_TILE", 4096)
    plan = replace(scan.plan, tile=4096)
    return assess(np.asarray(source.data), read_image(scan.path).data, plan, model, wishes)


def same(stored: Assessment, whole: Assessment) -> None:
    assert [each.name for each in stored.maps] == [each.name for each in whole.maps]
    for a, b in zip(stored.maps, whole.maps, strict=True):
        found = np.asarray(a.data)
        assert (found.shape, found.dtype) == (b.data.shape, b.data.dtype)
        if a.name == "choice":
            assert (found != b.data).mean() < 1e-3
        else:
            scale = 1 if a.name == "consistency" else np.nanmax(np.abs(b.data), initial=0)
            np.testing.assert_allclose(found, b.data, rtol=2e-3, atol=2e-3 * scale)
    assert stored.consistency == pytest.approx(whole.consistency, rel=1e-3)
    assert stored.sentence == whole.sentence


def test_every_map_on_disk_equals_one_made_in_one_piece(
    tiny_model: Models, small: Micrograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    scan = scanned(small, model, tmp_path / "a.ome.zarr")
    stored = finished(assess_stored_steps(small, scan.path, scan.plan, model, disagreement=True))
    assert {each.name for each in stored.maps} == {
        "consistency",
        "defocus",
        "error",
        "disagreement",
        "choice",
    }
    same(
        stored, in_one_piece(small, scan, model, monkeypatch, AssessmentOptions(disagreement=True))
    )


@pytest.mark.parametrize("kind", ["channels", "colours", "gaps", "region"])
def test_every_kind_of_image(
    tiny_model: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    random, wishes, model = np.random.default_rng(1), {}, tiny_model()
    data, axes = random.random((2, 90, 110)).astype(np.float32), "CYX"
    if kind == "channels":
        data[1] *= 1000
    elif kind == "gaps":
        data[:, 30:40, 50:70] = np.nan
    elif kind == "region":
        wishes["region"] = (16, 88), (8, 101)
    else:
        data, axes, model = (
            random.integers(0, 256, (2, 90, 110, 4), dtype=np.uint8),
            "ZYXS",
            tiny_model(3),
        )
    source = Micrograph(data, axes)
    scan = scanned(source, model, tmp_path / "a.ome.zarr", **wishes)
    stored = finished(assess_stored_steps(source, scan.path, scan.plan, model))
    same(stored, in_one_piece(source, scan, model, monkeypatch))
    if kind == "gaps":
        assert np.isnan(np.asarray(stored.map("error").data)[:, 60:80, 100:140]).all()


def test_maps_are_images_of_their_own_with_pixel_sizes_and_fitting_levels(
    tiny_model: Models, tmp_path: Path
) -> None:
    data = np.zeros((64, 1300), np.uint8)
    data[:, ::3] = 200
    source = Micrograph(data, "YX", {"X": 0.5, "Y": 0.5}, "µm", name="cells")
    model = tiny_model()
    scan = scanned(source, model, tmp_path / "a.ome.zarr")
    stored = finished(assess_stored_steps(source, scan.path, scan.plan, model))
    error = open_image(maps_path(scan.path, "error"))
    assert (error.pixel_size, error.unit, error.data.shape) == (
        {"X": 0.25, "Y": 0.25},
        "µm",
        (128, 2600),
    )
    consistency = stored.map("consistency")
    fine, coarse = (np.asarray(level) for level in (consistency.data, *consistency.coarser))
    np.testing.assert_array_equal(
        coarse, np.fmax.reduce([fine[y::2, x::2] for y in (0, 1) for x in (0, 1)])
    )
    labels = stored.map("choice")
    np.testing.assert_array_equal(np.asarray(labels.coarser[0]), np.asarray(labels.data)[::2, ::2])


def test_closed_and_begun_again_it_does_only_what_is_missing(
    tiny_model: Models, plane: Micrograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, done, kept = tiny_model(), [], []
    scan = scanned(plane, model, tmp_path / "a.ome.zarr")
    before = read_image(scan.path).data
    work, add = Mapped.work, StoredMaps.add

    def counted(mapped: Mapped, given: Any) -> Any:
        done.extend(each.place.tile for each in given)
        return work(mapped, given)

    def written(maps: StoredMaps, index: tuple[int, ...], tile: Tile, made: Any) -> None:
        add(maps, index, tile, made)
        kept.append(tile)

    monkeypatch.setattr(Mapped, "work", counted)
    monkeypatch.setattr(StoredMaps, "add", written)
    steps = assess_stored_steps(plane, scan.path, scan.plan, model)
    for _ in range(5):
        next(steps)
    steps.close()
    assert 4 <= len(kept) <= len(done) < 8
    before_closing = len(kept)
    done.clear()
    np.testing.assert_array_equal(read_image(scan.path).data, before)
    for name in ("error", "consistency", "choice"):
        with pytest.raises(FileError, match="does not exist"):
            open_image(maps_path(scan.path, name))
        assert (scan.path / "trust" / f"{name}.ome.zarr.partial").is_dir()
    steps = assess_stored_steps(plane, scan.path, scan.plan, model)
    progress = [next(steps) for _ in range(5)][-1]
    assert progress.before == progress.done > 0
    again = finished(steps)
    assert len(kept) == len(list(fitting.fine_grid(scan.plan))) == 12
    assert len({(tile.y.start, tile.x.start) for tile in kept}) == 12
    assert len(done) == 12 - before_closing
    same(again, in_one_piece(plane, scan, model, monkeypatch))


def test_what_is_whole_is_not_made_again_unless_the_calibration_is_another(
    tiny_model: Models, plane: Micrograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    scan = scanned(plane, model, tmp_path / "a.ome.zarr")
    first = finished(assess_stored_steps(plane, scan.path, scan.plan, model))
    with monkeypatch.context() as patched:
        patched.setattr(Mapped, "read", lambda *_: pytest.fail("a tile was assessed again"))
        second = finished(assess_stored_steps(plane, scan.path, scan.plan, model))
    assert (second.consistency, second.error, second.sentence) == (
        first.consistency,
        first.error,
        first.sentence,
    )
    assert (second.signal_error, second.signal_share) == (first.signal_error, first.signal_share)
    np.testing.assert_array_equal(
        np.asarray(second.map("error").data), np.asarray(first.map("error").data)
    )
    calibration = planning.error_calibration(model.card)
    assert calibration is not None
    wider = replace(
        calibration.plain, widths=tuple(2 * width for width in calibration.plain.widths)
    )
    monkeypatch.setattr(planning, "error_calibration", lambda *_: replace(calibration, plain=wider))
    third = finished(assess_stored_steps(plane, scan.path, scan.plan, model))
    assert third.error == pytest.approx(2 * first.error, rel=1e-3)


def test_the_mean_of_eight_keeps_its_disagreement_and_is_not_made_again_for_it(
    tiny_model: Models, small: Micrograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    scan = scanned(small, model, tmp_path / "a.ome.zarr", ensemble=True)
    monkeypatch.setattr(mapped, "ensemble", lambda *_: pytest.fail("the eight were made again"))
    stored = finished(assess_stored_steps(small, scan.path, scan.plan, model, disagreement=True))
    monkeypatch.undo()
    same(
        stored, in_one_piece(small, scan, model, monkeypatch, AssessmentOptions(disagreement=True))
    )


def test_memory_that_runs_out_quarters_the_tiles(
    tiny_model: Models, plane: Micrograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.restoration.walk import DoesNotFit

    monkeypatch.setattr(fitting, "LARGEST_TILE", 128)
    model = tiny_model()
    scan = open_scan(plane, model, tmp_path / "a.ome.zarr", **{**WISHES, "tile": 128})
    finished(scan.steps())
    explained = explanation.explained

    def limited(block: np.ndarray, tile: Any, *more: Any) -> np.ndarray:
        if tile.pixels > 64 * 64:
            raise DoesNotFit
        return explained(block, tile, *more)

    with monkeypatch.context() as patched:
        patched.setattr(explanation, "explained", limited)
        stored = finished(assess_stored_steps(plane, scan.path, scan.plan, model))
    same(stored, in_one_piece(plane, scan, model, monkeypatch))


def test_no_more_is_read_at_a_time_than_a_tile_needs(
    tiny_model: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.trust import assess as assessing
    from napari_mdeblurgan.trust import pieces, psf

    largest = []
    read = pieces.read

    def noted(array: Any, index: Any) -> np.ndarray:
        part = read(array, index)
        largest.append(part.size)
        return part

    for module in (pieces, mapped, assessing, explanation):
        monkeypatch.setattr(module, "read", noted)
    data = np.random.default_rng(0).integers(0, 256, (450, 450), dtype=np.uint8)
    source, model = Micrograph(da.from_array(data, chunks=100), "YX"), tiny_model()
    scan = scanned(source, model, tmp_path / "a.ome.zarr")
    finished(assess_stored_steps(source, scan.path, scan.plan, model))
    assert (
        max(largest)
        <= (2 * EDGE + 4 * (psf.RADIUS_PX + pieces.AVERAGED_PX) + 2 * scan.plan.halo) ** 2
    )


@pytest.mark.parametrize("fits", [True, False])
def test_the_network_is_run_on_four_tiles_at_a_time_where_they_fit(
    tiny_model: Models,
    plane: Micrograph,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fits: bool,
) -> None:
    from napari_mdeblurgan.restoration.walk import DoesNotFit

    model, sizes = tiny_model(), []
    scan = open_scan(plane, model, tmp_path / "a.ome.zarr", **{**WISHES, "tile": 128})
    finished(scan.steps())
    explained = explanation.explained

    def noted(block: np.ndarray, tile: Any, *more: Any) -> np.ndarray:
        if not fits and tile.pixels > 56 * 56:
            raise DoesNotFit
        sizes.append(tile.pixels)
        return explained(block, tile, *more)

    with monkeypatch.context() as patched:
        patched.setattr(explanation, "explained", noted)
        stored = finished(assess_stored_steps(plane, scan.path, scan.plan, model))
    assert sum(sizes) == 150 * 210
    assert max(sizes) == 112 * 112 if fits else len(sizes) == 12
    same(stored, in_one_piece(plane, scan, model, monkeypatch))


KILLED = """
import sys
from napari_mdeblurgan import load_model
from napari_mdeblurgan.restoration import fitting
from napari_mdeblurgan.restoration.scan_job import plan_of_finished
from napari_mdeblurgan.storage import open_image
from napari_mdeblurgan.trust.stored import assess_stored_steps
from pathlib import Path

fitting.LARGEST_TILE = 64
source, model, path = open_image(sys.argv[1]), load_model(sys.argv[2]), Path(sys.argv[3])
plan = plan_of_finished(source, model, path, {"tile": 128, "precision": "float32", "device": "cpu"})
for step in assess_stored_steps(source, path, plan, model):
    print(step.done, flush=True)
"""


def test_killed_it_leaves_the_result_and_comes_to_the_same_end(
    tiny_model: Models, plane: Micrograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.storage import write_image

    model, image, weights = tiny_model(), tmp_path / "cells.ome.tif", tmp_path / "tiny.safetensors"
    write_image(image, plane)
    save_model(model.network, model.card, weights)
    source = open_image(image)
    scan = scanned(source, model, tmp_path / "a.ome.zarr")
    before = read_image(scan.path).data
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(image), str(weights), str(scan.path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while int(process.stdout.readline()) < 3 * (2 * 64) ** 2:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    np.testing.assert_array_equal(read_image(scan.path).data, before)
    assert not maps_path(scan.path, "error").exists()
    steps = assess_stored_steps(source, scan.path, scan.plan, model)
    assert any(step.before > 0 for step in steps)
    same(finished(steps), in_one_piece(source, scan, model, monkeypatch))


@pytest.mark.parametrize("eightfold", [False, True])
def test_a_finished_scan_keeps_the_plan_that_it_was_made_by(
    tiny_model: Models, plane: Micrograph, tmp_path: Path, eightfold: bool
) -> None:
    scan = open_scan(plane, tiny_model(), tmp_path / "a.ome.zarr", ensemble=eightfold, **WISHES)
    finished(scan.steps())
    assert plan_of_finished(plane, tiny_model(), scan.path, WISHES, eightfold) == scan.plan


def test_a_finished_result_is_that_of_its_place_alone(
    tiny_model: Models, plane: Micrograph, tmp_path: Path
) -> None:
    placed = replace(
        plane, pixel_size={"Y": 0.5, "X": -0.3}, position={"Y": 7.0, "X": 1.0}, unit="µm"
    )
    model = tiny_model()
    scan = open_scan(placed, model, tmp_path / "a.ome.zarr", **WISHES)
    finished(scan.steps())
    assert plan_of_finished(placed, model, scan.path, WISHES) is not None
    assert plan_of_finished(replace(placed, name="renamed"), model, scan.path, WISHES) is not None
    for change in (
        {"pixel_size": {"Y": 0.5, "X": 0.3}},
        {"position": {"Y": 7.5, "X": 1.0}},
        {"unit": "nm"},
        {"unit": None},
        {"pixel_size": {}, "position": {}},
    ):
        assert plan_of_finished(replace(placed, **change), model, scan.path, WISHES) is None
