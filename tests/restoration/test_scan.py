"""Scans: into an OME-Zarr block by block, gone on with after an interruption, what is looked at
first.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_mdeblurgan.errors import FileError, ImageError, OutOfMemory
from napari_mdeblurgan.model import Model, save_model
from napari_mdeblurgan.restoration import inference, plan, room
from napari_mdeblurgan.restoration.engine import ensemble_steps, restore
from napari_mdeblurgan.restoration.scan import Scan, open_scan, restore_block
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.storage.display import ChannelDisplay
from napari_mdeblurgan.storage.map_places import maps_path
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_begun import begun_fraction
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_chunks import Chunk, ChunkStore, _array

Models = Callable[..., Model]
LARGE = np.random.default_rng(0).integers(0, 4000, (300, 410), np.uint16)
PLANE = LARGE[:180, :250]  # twelve tiles
WISHES: dict[str, Any] = {"tile": 64, "precision": "float32"}


PART = PLANE[:140]
EIGHT = WISHES | {"tile": 128}  # not smaller than the halo, which every orientation reads anew


def lazy(data: np.ndarray = PLANE, axes: str = "YX") -> Micrograph:
    return Micrograph(
        da.from_array(data, chunks=100), axes, {"X": 0.5, "Y": 0.5}, "µm", name="plane"
    )


def restored(source: Micrograph, model: Model, path: Path, **wishes: Any) -> np.ndarray:
    return read_image(finished(open_scan(source, model, path, **(WISHES | wishes)).steps())).data


def begin(scan: Scan, blocks: int) -> None:
    """Restore until so many blocks are written, and stop."""
    steps = scan.steps()
    while sum(map(scan.is_done, scan.blocks)) < blocks:
        next(steps)
    steps.close()


def test_a_scan_equals_the_image_restored_at_once(tiny_model: Models, tmp_path: Path) -> None:
    model, path = tiny_model(), tmp_path / "a.zarr"
    begun = open_scan(lazy(), model, path, **WISHES)
    assert finished(begun.steps()) == path
    windows = [(window.low, window.high) for window in begun.plan.windows or ()]
    expected = restore(PLANE, model, window=windows, precision="float32")
    image = read_image(path)
    np.testing.assert_allclose(image.data.astype(int), expected.astype(int), rtol=0, atol=1)
    assert (image.axes, image.pixel_size, image.unit) == ("YX", {"X": 0.25, "Y": 0.25}, "µm")


def test_a_scan_lies_where_its_source_does(tiny_model: Models, tmp_path: Path) -> None:
    source = Micrograph(PLANE, "YX", {"X": 0.5, "Y": 0.5}, "µm", position={"X": 30.0, "Y": -2.0})
    path = tmp_path / "a.zarr"
    scan = open_scan(
        source, tiny_model(), path, region=((64, 130), (0, 150)), ensemble=True, **WISHES
    )
    finished(scan.steps())
    expected = {"Y": -2 + 64 * 0.5 - 0.125, "X": 30 - 0.125}
    assert open_image(path).position == expected
    assert open_image(maps_path(path, "disagreement")).position == expected


@pytest.mark.parametrize("kind", ["channels", "colours", "alpha", "region"])
def test_every_kind_of_image(tiny_model: Models, tmp_path: Path, kind: str) -> None:
    random, wishes = np.random.default_rng(1), {}
    if kind in ("colours", "alpha"):
        model = tiny_model(3, 4)
        data, axes = random.integers(0, 255, (2, 130, 90, 3 + (kind == "alpha")), np.uint8), "ZYXS"
    else:
        model, data, axes = tiny_model(), random.random((2, 130, 150)).astype(np.float32), "CYX"
        data[1] *= 1000
        if kind == "region":
            wishes["region"] = (30, 121), (21, 140)
    begun = open_scan(lazy(data, axes), model, tmp_path / "a.zarr", **WISHES, **wishes)
    windows = [(window.low, window.high) for window in begun.plan.windows or ()]
    axis = 0 if axes == "CYX" else None
    expected = restore(
        data, model, window=windows, channel_axis=axis, precision="float32", **wishes
    )
    result = read_image(finished(begun.steps())).data
    assert result.dtype == data.dtype
    for index in np.ndindex(2):
        spread = 1 if data.dtype == np.uint8 else 1e-5 * np.ptp(expected[index])
        np.testing.assert_allclose(
            result[index].astype(float), expected[index], rtol=0, atol=spread
        )


def test_arrays_in_memory_and_of_zarr_are_sources_too(tiny_model: Models, tmp_path: Path) -> None:
    stored = zarr.create_array(str(tmp_path / "source.zarr"), data=PLANE, chunks=(64, 64))
    results = [
        restored(Micrograph(data, "YX"), tiny_model(), tmp_path / f"{n}.zarr", window=(0, 4000))
        for n, data in enumerate((PLANE, stored, da.from_array(PLANE, chunks=100)))
    ]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_blocks_cover_the_result_once_and_are_whole_chunks(
    tiny_model: Models, tmp_path: Path
) -> None:
    begun = open_scan(
        lazy(np.stack([PLANE, PLANE]), "TYX"), tiny_model(), tmp_path / "a.zarr", **WISHES
    )
    covered = np.zeros(begun.plan.output_shape, int)
    for block in begun.blocks:
        covered[
            (
                *block.index,
                slice(block.y, block.y + block.height),
                slice(block.x, block.x + block.width),
            )
        ] += 1
        assert begun.store.chunks_in(block.index, block.y, block.x, block.height, block.width)
    assert (covered == 1).all()


def test_closed_and_opened_again_it_does_only_what_is_missing(
    tiny_model: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = tiny_model(), tmp_path / "a.zarr"
    undisturbed = restored(lazy(), model, tmp_path / "b.zarr")
    first = open_scan(lazy(), model, path, **WISHES)
    steps = first.steps()
    for _ in range(4):
        next(steps)
    steps.close()
    monkeypatch.setattr(plan, "measuring", lambda *_: pytest.fail("the windows were measured anew"))
    again = open_scan(lazy(), model, path, **WISHES)
    assert again.plan == first.plan
    done = len(again.blocks) - len(again.missing())
    assert 3 <= done <= 3 + 3
    steps = again.steps()
    assert next(steps).before == sum(block.pixels for block in again.blocks if again.is_done(block))
    assert len(list(again.missing())) + done == len(again.blocks)
    assert np.array_equal(read_image(finished(steps)).data, undisturbed)


@pytest.mark.parametrize("shown", [(), ("red", (0, 100)), ("green", (5, 4000))])
def test_how_it_is_shown_does_not_count(
    tiny_model: Models, tmp_path: Path, shown: tuple[Any, ...]
) -> None:
    def source(*look: Any) -> Micrograph:
        table = np.zeros((3, 256), np.uint8)
        if look:
            table[("red", "green").index(look[0])] = np.arange(256)
        display = (ChannelDisplay.of(table, look[1]),) if look else ()
        return replace(lazy(), display=display)

    begun = open_scan(source("red", (0, 4000)), tiny_model(), tmp_path / "a.zarr", **WISHES)
    begin(begun, 2)
    again = open_scan(source(*shown), tiny_model(), tmp_path / "a.zarr", **WISHES)
    assert len(again.missing()) <= len(again.blocks) - 2


def test_another_source_model_or_wish_begins_anew(tiny_model: Models, tmp_path: Path) -> None:
    path, plane = tmp_path / "a.zarr", lazy()
    other = PLANE.copy()
    other[7, 7] += 1
    for source, model, wishes in (
        (plane, tiny_model(), {"window": (0, 1000)}),
        (plane, tiny_model(), {"window": (0, 2000)}),
        (lazy(other), tiny_model(), {"window": (0, 2000)}),
    ):
        begun = open_scan(source, model, path, **WISHES, **wishes)
        assert len(begun.missing()) == len(begun.blocks)
        begin(begun, 1)


KILLED = """
import sys
from napari_mdeblurgan import load_model
from napari_mdeblurgan.restoration.scan import open_scan
from napari_mdeblurgan.storage import open_image

image, model = open_image(sys.argv[1]), load_model(sys.argv[2])
begun = open_scan(image, model, sys.argv[3], tile=64, precision="float32")
for step in begun.steps():
    print(step.done, flush=True)
"""


def test_killed_at_any_moment_it_comes_to_the_same_end(tiny_model: Models, tmp_path: Path) -> None:
    model = tiny_model()
    source, weights, path = (
        tmp_path / "source.tif",
        tmp_path / "tiny.safetensors",
        tmp_path / "a.zarr",
    )
    write_image(source, Micrograph(LARGE, "YX"))
    save_model(model.network, model.card, weights)
    command = [sys.executable, "-c", KILLED, str(source), str(weights), str(path)]
    for pause in (0.0, 0.1):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        while int(process.stdout.readline()) < 2 * (2 * 64) ** 2:
            pass
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not path.exists()
    again = open_scan(open_image(source), model, path, **WISHES)
    assert again.missing() != list(again.blocks)
    whole = restored(open_image(source), model, tmp_path / "b.zarr")
    assert np.array_equal(read_image(finished(again.steps())).data, whole)


def test_what_is_looked_at_is_done_first(tiny_model: Models, tmp_path: Path) -> None:
    begun = open_scan(
        lazy(np.stack([PLANE, PLANE]), "ZYX"), tiny_model(), tmp_path / "a.zarr", **WISHES
    )
    begun.want((1,), ((100, 180), (150, 250)))
    seen = [block for block in begun.blocks if block.meets((1,), ((100, 180), (150, 250)))]
    assert 0 < len(seen) < len(begun.blocks) / 4
    steps = begun.steps()
    while sum(map(begun.is_done, begun.blocks)) < len(seen):
        next(steps)
    assert all(begun.is_done(block) for block in seen)
    steps.close()


def test_levels_show_what_is_there(tiny_model: Models, tmp_path: Path) -> None:
    begun = open_scan(lazy(), tiny_model(), tmp_path / "a.zarr", **WISHES)
    assert not np.asarray(begun.levels[0]).any()
    begin(begun, 1)
    shown = np.asarray(begun.levels[0])
    done = next(block for block in begun.blocks if begun.is_done(block))
    assert shown[done.y : done.y + done.height, done.x : done.x + done.width].any()


def test_blocks_from_other_processes_make_the_same(tiny_model: Models, tmp_path: Path) -> None:
    model, source = tiny_model(), lazy()
    expected = restored(source, model, tmp_path / "a.zarr")
    begun = open_scan(source, model, tmp_path / "b.zarr", **WISHES)
    for block in reversed(begun.missing()):
        begun.store.write_block(
            block.index, block.y, block.x, restore_block(block, source.data, begun.plan, model)
        )
        begun.arrived(block)
    assert np.array_equal(read_image(begun.finish()).data, expected)


def test_out_of_memory_shrinks_the_tiles_and_goes_on(
    tiny_model: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, forward, failed = tiny_model(), inference._forward, []
    expected = restored(lazy(), model, tmp_path / "a.zarr", tile=128)

    def limited(stages: Any, names: Any, image: Any, *more: Any) -> Any:
        if image.shape[-1] * image.shape[-2] > 260**2:
            failed.append(image.shape)
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(stages, names, image, *more)

    monkeypatch.setattr(inference, "_forward", limited)
    squeezed = restored(lazy(), model, tmp_path / "b.zarr", tile=128)
    np.testing.assert_allclose(squeezed.astype(int), expected.astype(int), rtol=0, atol=1)
    assert len(failed) <= 3  # the first block twice, and the next one that was on its way by then
    monkeypatch.setattr(inference, "_forward", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(OutOfMemory, match="smallest tile"):
        restored(lazy(), model, tmp_path / "c.zarr")


class Trouble:
    """An array one part of which cannot be read."""

    shape, dtype, ndim = PLANE.shape, PLANE.dtype, 2

    def __getitem__(self, key: Any) -> np.ndarray:
        if key[0].stop == 180 and key[1].stop == 250:
            raise FileError("A part of it cannot be read; copy it again.")
        return PLANE[key]


def test_a_source_that_cannot_be_read_ends_the_work_in_a_sentence(
    tiny_model: Models, tmp_path: Path
) -> None:
    begun = open_scan(
        Micrograph(Trouble(), "YX"), tiny_model(), tmp_path / "a.zarr", window=(0, 4000), **WISHES
    )
    with pytest.raises(FileError, match="copy it again"):
        finished(begun.steps())
    assert 0 < len(begun.missing()) < len(begun.blocks)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("size", "said"), [(2.5e12, "2,500.0 GB"), (1e8, "0.1 GB"), (4e5, "0.4 MB")]
)
def test_small_amounts_are_not_nothing(size: float, said: str) -> None:
    assert room.size_in_words(size) == said


def test_a_disk_that_is_far_too_small_is_told_of_before_any_work(
    tiny_model: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Usage(10, 10, 0))
    with pytest.raises(FileError, match="make room"):
        open_scan(lazy(), tiny_model(), tmp_path / "a.zarr", **WISHES)
    assert not list(tmp_path.glob("a.zarr*"))


@pytest.mark.parametrize("blocks", [0, 2])
def test_a_disk_that_fills_keeps_what_is_done_and_nothing_where_that_is_nothing(
    tiny_model: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    model, written, write = tiny_model(), [], ChunkStore.write

    def filling(store: ChunkStore, level: int, chunk: Chunk, pixels: np.ndarray) -> None:
        if level == 0:
            written.append(chunk)
        if len(written) > blocks:
            raise FileError("The disk is full.")
        write(store, level, chunk, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(ChunkStore, "write", filling)
        with pytest.raises(FileError, match="disk is full"):
            restored(lazy(), model, tmp_path / "a.zarr", **WISHES)
    assert [path.name for path in tmp_path.iterdir()] == (["a.zarr.partial"] if blocks else [])
    again = open_scan(lazy(), model, tmp_path / "a.zarr", **WISHES)
    assert len(again.blocks) - len(again.missing()) == blocks


def test_wrong_images_and_names_are_refused_before_anything_is_written(
    tiny_model: Models, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match="grey"):
        open_scan(lazy(), tiny_model(3), tmp_path / "a.zarr")
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(FileError, match="there already"):
        open_scan(lazy(), tiny_model(), tmp_path / "b.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["b.zarr"]


def test_a_job_that_somebody_altered_is_not_gone_on_with(
    tiny_model: Models, tmp_path: Path
) -> None:
    path = tmp_path / "a.zarr"
    begin(open_scan(lazy(), tiny_model(), path, in_place=True, **WISHES), 1)
    attributes = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(attributes.replace('\\"tile\\": 64', '\\"tile\\": \\"x\\"'))
    begun = open_scan(lazy(), tiny_model(), path, in_place=True, **WISHES)
    assert isinstance(begun, Scan)
    assert len(begun.missing()) == len(begun.blocks)
    shutil.rmtree(path)


@pytest.mark.parametrize("kind", ["plane", "colours"])
def test_the_mean_of_eight_orientations_is_what_it_is_in_memory(
    tiny_model: Models, tmp_path: Path, kind: str
) -> None:
    model, data, axes = tiny_model(), PART, "YX"
    if kind == "colours":
        model, axes = tiny_model(3), "ZYXS"
        data = np.random.default_rng(1).integers(0, 255, (2, 130, 90, 3), np.uint8)
    begun = open_scan(lazy(data, axes), model, tmp_path / "a.zarr", **EIGHT, ensemble=True)
    path, steps = tmp_path / "a.zarr", ensemble_steps(data, begun.plan, model)
    result = read_image(finished(begun.steps())).data
    mean, spread = finished(steps)
    np.testing.assert_allclose(result.astype(int), mean.astype(int), rtol=0, atol=1)
    np.testing.assert_allclose(
        read_image(maps_path(path, "disagreement")).data, spread, rtol=1e-3, atol=0.05
    )
    assert not np.array_equal(result, restored(lazy(data, axes), model, tmp_path / "one.zarr"))


def test_the_mean_of_eight_is_gone_on_with(tiny_model: Models, tmp_path: Path) -> None:
    model, path = tiny_model(), tmp_path / "a.zarr"
    undisturbed = restored(lazy(PART), model, tmp_path / "b.zarr", **EIGHT, ensemble=True)
    begin(open_scan(lazy(PART), model, path, **EIGHT, ensemble=True), 2)
    again = open_scan(lazy(PART), model, path, **EIGHT, ensemble=True)
    assert len(again.blocks) - len(again.missing()) == 2
    assert np.array_equal(restored(lazy(PART), model, path, **EIGHT, ensemble=True), undisturbed)


@pytest.mark.parametrize("content", ["", "null", "[]", '{"zarr_format": 3'])
def test_a_scan_whose_array_lost_its_description_is_begun_anew(
    tiny_model: Models, tmp_path: Path, content: str
) -> None:
    path, partial = tmp_path / "a.zarr", tmp_path / "a.zarr.partial"
    begin(open_scan(lazy(), tiny_model(), path, **WISHES), 2)
    (partial / "0" / "zarr.json").write_text(content)
    assert begun_fraction(partial) is None
    _array.cache_clear()  # as another process would find it
    again = open_scan(lazy(), tiny_model(), path, **WISHES)
    assert len(again.missing()) == len(again.blocks)


def test_a_scan_whose_description_is_of_other_kinds_is_begun_anew(
    tiny_model: Models, tmp_path: Path
) -> None:
    path, partial = tmp_path / "a.zarr", tmp_path / "a.zarr.partial"
    begin(open_scan(lazy(), tiny_model(), path, **WISHES), 2)
    document = json.loads((partial / "zarr.json").read_text())
    document["attributes"]["ome"] |= {"multiscales": ["0"], "omero": None}
    (partial / "zarr.json").write_text(json.dumps(document))
    again = open_scan(lazy(), tiny_model(), path, **WISHES)
    assert len(again.missing()) == len(again.blocks)
