"""OME-Zarr written block by block: any order, several writers, interruptions, and a pyramid that
fills.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaozarrs
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import (
    Micrograph,
    check_writable,
    open_image,
    pyramid,
    read_image,
    write_image,
)
from napari_mdeblurgan.storage.ome_zarr.live_pyramid import LivePyramid
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_begun import begun_job
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import OmeZarrWriter, create_ome_zarr
from napari_mdeblurgan.storage.pyramid import halved

PLANE = np.random.default_rng(0).integers(0, 255, (300, 410), np.uint8)
CHUNK = 64


@pytest.fixture(autouse=True)
def _deep_pyramids_of_small_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyramid, "COARSEST_EDGE", 60)


def begin(path: Path, data: np.ndarray = PLANE, axes: str = "YX", **more: object) -> OmeZarrWriter:
    return create_ome_zarr(
        path, data.shape, axes, data.dtype, {"X": 0.5, "Y": 0.5}, "µm", chunk=CHUNK, **more
    )


def corners(step: int = CHUNK, shape: tuple[int, ...] = PLANE.shape) -> list[tuple[int, int]]:
    return list(itertools.product(range(0, shape[0], step), range(0, shape[1], step)))


def put(writer: OmeZarrWriter, y: int, x: int, step: int = CHUNK, data: np.ndarray = PLANE) -> None:
    writer.write((), y, x, data[y : y + step, x : x + step])


def levels_of(data: np.ndarray) -> list[np.ndarray]:
    levels = [data]
    while max(levels[-1].shape) > pyramid.COARSEST_EDGE:
        levels.append(halved(levels[-1]))
    return levels


def assert_complete(path: Path, data: np.ndarray = PLANE) -> None:
    yaozarrs.validate_zarr_store(str(path))
    group = zarr.open_group(str(path), mode="r")
    expected = levels_of(data)
    assert sorted(group.array_keys()) == [str(level) for level in range(len(expected))]
    for level, pixels in enumerate(expected):
        np.testing.assert_array_equal(group[str(level)][:], pixels)


@settings(max_examples=settings().max_examples * 10 // 60)
@given(st.permutations(corners(2 * CHUNK)), st.sampled_from([0, 10_000, 2**28]))
def test_blocks_may_come_in_any_order_with_any_memory(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[int, int]], budget: int
) -> None:
    path = tmp_path_factory.mktemp("order") / "a.zarr"
    writer = begin(path)
    writer._pyramid = LivePyramid(writer.store, budget)
    for y, x in order:
        put(writer, y, x, 2 * CHUNK)
    assert writer.finish() == path
    assert [file.name for file in path.parent.iterdir()] == ["a.zarr"]
    assert_complete(path)


def test_levels_below_finished_blocks_are_on_disk_before_the_rest_is_done(tmp_path: Path) -> None:
    writer = begin(tmp_path / "a.zarr")
    for y, x in corners():
        if y < 256 and x < 256:
            put(writer, y, x)
    for level in (1, 2):
        edge = 256 >> level
        found = zarr.open_array(str(tmp_path / f"a.zarr.partial/{level}"), mode="r")[:edge, :edge]
        np.testing.assert_array_equal(found, levels_of(PLANE)[level][:edge, :edge])


def test_every_level_shows_what_there_is_at_once(tmp_path: Path) -> None:
    writer = begin(tmp_path / "a.zarr")
    put(writer, 64, 128)
    shown = np.zeros_like(PLANE)
    shown[64:128, 128:192] = PLANE[64:128, 128:192]
    for level, expected in zip(writer.levels, levels_of(shown), strict=True):
        assert level.shape == expected.shape
        np.testing.assert_array_equal(np.asarray(level), expected)
        np.testing.assert_array_equal(np.asarray(level[3::2, -2:4:-3]), expected[3::2, -2:4:-3])
        np.testing.assert_array_equal(np.asarray(level[..., 5]), expected[..., 5])
        np.testing.assert_array_equal(np.asarray(level[1]), expected[1])


def test_levels_have_the_axes_of_the_image(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 255, (2, 3, 70, 130, 3), np.uint8)
    writer = begin(tmp_path / "a.zarr", data, "ZTYXS")
    for index in np.ndindex(2, 3):
        for y, x in corners(CHUNK, (70, 130)):
            writer.write(index, y, x, data[index][y : y + CHUNK, x : x + CHUNK])
    np.testing.assert_array_equal(np.asarray(writer.levels[0][1][:, 3, 5:]), data[1, :, 3, 5:])
    writer.finish()
    image = open_image(tmp_path / "a.zarr")
    assert image.axes == "ZTYXS"
    np.testing.assert_array_equal(np.asarray(image.data), data)


def test_a_part_of_a_level_is_read_when_its_pixels_are_asked_for(tmp_path: Path) -> None:
    writer = begin(tmp_path / "a.zarr")
    part = writer.levels[1][10:][:, 3]
    assert not np.asarray(part).any()
    put(writer, 0, 0)
    np.testing.assert_array_equal(np.asarray(part)[:22], halved(PLANE[:64, :64])[10:, 3])
    with pytest.raises(IndexError):
        part[1000]


def test_a_layer_shows_blocks_when_it_is_refreshed(tmp_path: Path) -> None:
    writer = begin(tmp_path / "a.zarr")
    layer = Image(writer.levels, multiscale=True, contrast_limits=(0, 255))
    for level in range(len(writer.levels)):
        layer._data_level, layer.corner_pixels = (
            level,
            np.array([[0, 0], np.array(writer.levels[level].shape) - 1]),
        )
        put(writer, *corners()[level])
        layer.refresh()
        np.testing.assert_array_equal(layer._data_view, np.asarray(writer.levels[level]))
        assert layer._data_view[corners()[level][0] >> level, corners()[level][1] >> level]


def test_an_interrupted_image_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    writer = begin(path, job="same")
    for y, x in corners()[:9]:
        put(writer, y, x)
    shown = [np.asarray(level) for level in writer.levels]
    again = begin(path, job="same")
    assert again.count() == (9, len(corners()))
    for level, before in zip(again.levels, shown, strict=True):
        np.testing.assert_array_equal(np.asarray(level), before)
    for y, x in corners():
        if not again.is_done((), y, x, min(CHUNK, 300 - y), min(CHUNK, 410 - x)):
            put(again, y, x)
    again.finish()
    assert_complete(path)


@pytest.mark.parametrize("other", [{"job": "other"}, {"in_place": True}])
def test_another_job_begins_anew(tmp_path: Path, other: dict) -> None:
    put(begin(tmp_path / "a.zarr", job="one"), 0, 0)
    assert begin(tmp_path / "a.zarr", **{"job": "one"} | other).count()[0] == 0


def test_an_image_that_was_renamed_is_gone_on_with(tmp_path: Path) -> None:
    put(begin(tmp_path / "a.zarr", job="one", name="before"), 0, 0)
    again = begin(tmp_path / "a.zarr", job="one", name="after")
    assert again.count()[0] == 1
    for y, x in corners():
        put(again, y, x)
    again.finish()
    assert open_image(tmp_path / "a.zarr").data.shape == (300, 410)


KILLED = """
import sys, numpy as np
from pathlib import Path
from napari_mdeblurgan.storage import pyramid
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import create_ome_zarr
pyramid.COARSEST_EDGE = 60
data = np.random.default_rng(0).integers(0, 255, (300, 410), np.uint8)
size = {"X": 0.5, "Y": 0.5}
writer = create_ome_zarr(sys.argv[1], data.shape, "YX", data.dtype, size, "µm", chunk=64)
print("ready", flush=True)
for y in range(0, 300, 64):
    for x in range(0, 410, 64):
        if (y, x) == (256, 384):
            sys.stdin.read()  # the last block is never begun, however long the end is in coming
        writer.write((), y, x, data[y : y + 64, x : x + 64])
        print(y, x, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_killed_process_loses_no_block_that_it_had_written(tmp_path: Path, after: int) -> None:
    path = tmp_path / "a.zarr"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], text=True, **pipes) as process:
        assert process.stdout is not None
        written = [process.stdout.readline() for _ in range(after + 1)][1:]
        time.sleep(0.001 * after)
        process.send_signal(signal.SIGKILL)
    torn = tmp_path / "a.zarr.partial/0/c/4"
    torn.mkdir(exist_ok=True)
    (torn / "6.0123456789abcdef.partial").write_bytes(b"half")
    (torn / "6").touch()
    writer = begin(path)
    for y, x in (map(int, line.split()) for line in written):
        assert writer.is_done((), y, x, min(CHUNK, 300 - y), min(CHUNK, 410 - x))
    assert not writer.is_done((), 256, 384, 44, 26)  # of which there is an empty file
    assert not path.exists()
    for y, x in corners():
        if not writer.is_done((), y, x, min(CHUNK, 300 - y), min(CHUNK, 410 - x)):
            put(writer, y, x)
    writer.finish()
    assert_complete(path)
    assert not list(path.rglob("*.partial"))


def test_a_process_killed_while_it_began_is_begun_anew(tmp_path: Path) -> None:
    partial = tmp_path / "a.zarr.partial"
    partial.mkdir()
    (partial / "zarr.0123.partial").write_bytes(b"{")
    put(begin(tmp_path / "a.zarr"), 0, 0)
    (partial / "2" / "zarr.json").unlink()
    assert begin(tmp_path / "a.zarr").count()[0] == 0


def test_other_processes_may_write_blocks(tmp_path: Path) -> None:
    writer = begin(tmp_path / "a.zarr")
    (tmp_path / "store").write_bytes(pickle.dumps((writer.store, PLANE)))
    program = f"""
import pickle
store, data = pickle.load(open({str(tmp_path / "store")!r}, "rb"))
for y in range(0, 300, 128):
    for x in range(0, 410, 128):
        store.write_block((), y, x, data[y : y + 128, x : x + 128])
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    for y, x in corners():
        writer.arrived((), y, x, min(CHUNK, 300 - y), min(CHUNK, 410 - x))
    writer.finish()
    assert_complete(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("y", "x", "height", "width"),
    [(1, 0, 64, 64), (0, 0, 63, 64), (0, 384, 64, 64), (256, 0, 45, 64)],
)
def test_blocks_that_are_not_whole_chunks_are_refused(
    tmp_path: Path, y: int, x: int, height: int, width: int
) -> None:
    with pytest.raises(ValueError, match="whole chunks"):
        begin(tmp_path / "a.zarr").write((), y, x, np.zeros((height, width), np.uint8))


def test_an_image_with_gaps_is_not_finished(tmp_path: Path) -> None:
    writer = begin(tmp_path / "a.zarr")
    put(writer, 0, 0)
    with pytest.raises(FileError, match="34 of its 35 chunks are missing"):
        writer.finish()
    assert not (tmp_path / "a.zarr").exists()
    writer.abandon()
    assert not list(tmp_path.iterdir())


def test_an_image_that_is_being_made_is_not_opened(tmp_path: Path) -> None:
    begin(tmp_path / "a.zarr")
    begin(tmp_path / "b.zarr", in_place=True)
    for name in ("a.zarr.partial", "b.zarr"):
        with pytest.raises(FileError, match="not finished yet"):
            open_image(tmp_path / name)


def test_an_image_in_place_is_finished_in_place(tmp_path: Path) -> None:
    writer = begin(tmp_path / "a.zarr", in_place=True)
    put(writer, 0, 0)
    writer = begin(tmp_path / "a.zarr", in_place=True)
    assert writer.count()[0] == 1
    for y, x in corners():
        put(writer, y, x)
    writer.finish()
    assert_complete(tmp_path / "a.zarr")
    with pytest.raises(FileError, match="there already"):
        begin(tmp_path / "a.zarr", in_place=True)


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "b.zarr.partial").mkdir()
    (tmp_path / "b.zarr.partial" / "letter").touch()
    with pytest.raises(FileError, match="there already"):
        check_writable(tmp_path / "a.zarr", "YX", "uint8")
    for name, sentence in (("a.zarr", "there already"), ("b.zarr", "in the way")):
        with pytest.raises(FileError, match=sentence):
            write_image(tmp_path / name, Micrograph(PLANE, "YX"))
    writer = begin(tmp_path / "c.zarr", PLANE[:64, :64])
    writer.write((), 0, 0, PLANE[:64, :64])
    (tmp_path / "c.zarr").touch()
    with pytest.raises(FileError, match="there already"):
        writer.finish()
    assert (tmp_path / "b.zarr.partial" / "letter").exists()


def test_axes_without_a_place_in_ome_zarr_are_refused(tmp_path: Path) -> None:
    for axes in ("QIYX", "CYXS", "VYX"):
        with pytest.raises(FileError, match=r"write \.tif instead"):
            check_writable(tmp_path / "a.zarr", axes, "uint8")


FULL = """
import resource, sys, numpy as np
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, write_image
noise = np.random.default_rng(0).integers(0, 255, (600, 600), np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_image(sys.argv[1], Micrograph(noise, "YX"))
except FileError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_nothing(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "a.zarr")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "larger than a file may be" in found.stdout
    assert not list(tmp_path.iterdir())


def test_named_channels_have_the_range_of_their_pixels(tmp_path: Path) -> None:
    data = np.stack([np.full((50, 60), 100, np.uint16), np.full((50, 60), 4000, np.uint16)])
    data[:, 0, 0] = 7
    write_image(tmp_path / "a.zarr", Micrograph(data, "CYX", channel_names=("DAPI", "GFP")))
    omero = json.loads((tmp_path / "a.zarr/zarr.json").read_text())["attributes"]["ome"]["omero"]
    assert [channel["label"] for channel in omero["channels"]] == ["DAPI", "GFP"]
    assert [channel["window"]["end"] for channel in omero["channels"]] == [100, 4000]
    assert omero["channels"][0]["window"]["start"] == 7


def test_all_levels_lie_on_each_other(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", Micrograph(PLANE, "YX", {"Y": 0.5, "X": 0.25}, "µm"))
    ome = json.loads((tmp_path / "a.zarr/zarr.json").read_text())["attributes"]["ome"]
    for level, dataset in enumerate(ome["multiscales"][0]["datasets"]):
        scale, *translation = dataset["coordinateTransformations"]
        assert scale["scale"] == [0.5 * 2**level, 0.25 * 2**level]
        for moved in translation:
            assert moved["translation"] == [0.25 * (2**level - 1), 0.125 * (2**level - 1)]


def test_read_image_takes_back_what_was_streamed(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", Micrograph(PLANE, "YX"))
    write_image(tmp_path / "b.zarr", open_image(tmp_path / "a.zarr"))
    np.testing.assert_array_equal(read_image(tmp_path / "b.zarr").data, PLANE)


def test_what_was_killed_when_it_lacked_but_its_name_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = tmp_path / "a.ome.zarr", np.arange(2 * 40 * 30, dtype=np.uint16).reshape(2, 40, 30)
    arguments = (path, data.shape, "CYX", data.dtype, None, None, ("DAPI", "GFP"), 16)
    writer = create_ome_zarr(*arguments, job="job")
    for channel in range(2):
        writer.write((channel,), 0, 0, data[channel])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            writer.finish()
    assert begun_job(path) == "job"
    again = create_ome_zarr(*arguments, job="job")
    assert again.count() == (12, 12)
    again.finish()
    np.testing.assert_array_equal(read_image(path).data, data)


@pytest.mark.parametrize("chunks", [(208, 128), (128, 208, 128)])
def test_what_is_begun_anew_with_other_chunks_is_written_with_them(
    tmp_path: Path, chunks: tuple[int, ...]
) -> None:
    for chunk in chunks:
        writer = create_ome_zarr(
            tmp_path / "a.ome.zarr", (600, 600), "YX", np.float32, chunk=chunk, job="same"
        )
        writer.write((), 0, 0, np.ones((chunk, chunk), np.float32))
        assert (np.asarray(writer.levels[0][:chunk, :chunk]) == 1).all()
    assert writer.is_done((), 0, 0, chunk, chunk)


def test_an_image_is_written_where_files_have_no_second_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refused)
    write_image(tmp_path / "a.ome.zarr", Micrograph(PLANE, "YX"))
    assert np.array_equal(read_image(tmp_path / "a.ome.zarr").data, PLANE)
