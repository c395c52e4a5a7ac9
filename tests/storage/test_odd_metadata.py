"""Files whose tags and metadata are of another kind than they should be, or lack what they name."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, lazy_arrays, open_image, read_image, write_image


@pytest.mark.parametrize(
    ("tag", "count", "value", "words"),
    [
        ("BitsPerSample", 1, 127, "pixels of type float64 are no places in a palette; save it"),
        ("Compression", 6, 304, "it names several compressions; copy it again"),
        ("ImageWidth", 6, 304, "either it is damaged, or tifffile does not know its kind"),
    ],
)
def test_a_tag_that_makes_no_sense_is_no_error_of_this_program(
    tmp_path: Path, tag: str, count: int, value: int, words: str
) -> None:
    palette = np.arange(768, dtype=np.uint16).reshape(3, 256)
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.zeros((20, 24), np.uint8),
        photometric="palette",
        colormap=palette,
        metadata={"axes": "YX"},
    )
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        at = tif.pages.first.tags[tag].offset
    with (tmp_path / "a.ome.tif").open("r+b") as file:
        file.seek(at + 4)
        file.write(struct.pack("<II", count, value))
    with pytest.raises(FileError, match=words):
        read_image(tmp_path / "a.ome.tif")


def test_a_claim_without_a_compression_is_measured_by_its_file(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((3, 20, 24), np.uint16), photometric="rgb", planarconfig=2
    )
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        tags = tif.pages.first.tags
        compression, height = tags["Compression"].offset, tags["ImageLength"].offset
    with (tmp_path / "a.tif").open("r+b") as file:
        file.seek(compression)
        file.write(struct.pack("<H", 60_000))
        file.seek(height + 8)
        file.write(struct.pack("<I", 16_711_720))
    with pytest.raises(FileError, match=r"is damaged: it claims to hold .* GiB"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("odd", [None, True, 3, -1.5, [], [1], {"a": 1}, "\0", "\ud83d"])
@pytest.mark.parametrize(
    "place", ["unit", "order", "name", "label", "color", "window", "type", "dataset"]
)
def test_metadata_of_another_kind_than_they_should_be_are_no_error_of_this_program(
    tmp_path: Path, place: str, odd: object
) -> None:
    path = tmp_path / "a.ome.zarr"
    write_image(
        path, Micrograph(np.zeros((2, 9, 8), np.uint8), "CYX", {"X": 1.0}, "µm", ("a", "b"))
    )
    document = json.loads((path / "zarr.json").read_text())
    ome, own = (document["attributes"][key] for key in ("ome", "napari-mdeblurgan"))
    image, channel = ome["multiscales"][0], ome["omero"]["channels"][0]
    at, key = {
        "unit": (image["axes"][2], "unit"),
        "order": (own, "axes"),
        "name": (image, "name"),
        "label": (channel, "label"),
        "color": (channel, "color"),
        "window": (channel, "window"),
        "type": (image["axes"][0], "type"),
        "dataset": (image["datasets"][0], "path"),
    }[place]
    at[key] = odd
    (path / "zarr.json").write_text(json.dumps(document))
    try:
        image = read_image(path)
    except FileError as error:
        assert place in ("name", "type", "dataset", "color")
        assert "error in this program" not in str(error)
    else:
        assert image.data.shape == (2, 9, 8)


def test_an_image_without_pixels_is_told_by_whoever_reads_it(tmp_path: Path) -> None:
    stored = lazy_arrays.StoredArray(
        tmp_path / "a.oib", np.zeros, (), (2, 0, 8), np.dtype("u1"), (0, 0), tmp_path / "a.oib"
    )
    with pytest.raises(FileError, match=r"a\.oib has no pixels: its size is 2 × 0 × 8; save it"):
        lazy_arrays.lazily(stored, (1, 4, 8), (1, 2))


@pytest.mark.parametrize("encoding", ["nested", "flat", "version 2"])
def test_planes_that_were_never_written_are_told(tmp_path: Path, encoding: str) -> None:
    path, axes = tmp_path / "a.zarr", [{"name": each} for each in "tczyx"]
    scale = {"type": "scale", "scale": [1.0] * 5}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    multiscales = [{"version": "0.4", "axes": axes, "datasets": [dataset]}]
    old = encoding == "version 2"
    root = zarr.create_group(str(path), zarr_format=2 if old else 3)
    root.attrs.update({"multiscales": multiscales} if old else {"ome": {"version": "0.5"}})
    if not old:
        root.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    keys = {"flat": {"name": "default", "separator": "."}}.get(encoding)
    array = root.create_array(
        "0",
        shape=(3, 2, 5, 8, 8),
        chunks=(1, 1, 2, 4, 4),
        dtype=np.uint16,
        fill_value=7,
        chunk_key_encoding=keys,
    )
    array[0], array[1, 0], array[1, 1, :4, :4] = 100, 100, 100
    (remark,) = open_image(path).remarks
    assert remark == (
        "a.zarr stores 19 of its 30 planes: each pixel of the others is 7, or an acquisition was "
        "stopped early."
    )
    array[:] = 100
    assert open_image(path).remarks == ()


@pytest.mark.parametrize("shards", [None, (2, 8, 8)])
def test_chunks_without_pixels_are_no_error_of_this_program(
    tmp_path: Path, shards: tuple[int, ...] | None
) -> None:
    path, dataset = tmp_path / "a.zarr", {"path": "0"}
    dataset["coordinateTransformations"] = [{"type": "scale", "scale": [1.0] * 3}]
    multiscales = [{"axes": [{"name": each} for each in "zyx"], "datasets": [dataset]}]
    root = zarr.create_group(str(path))
    root.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    root.create_array("0", shape=(4, 8, 8), chunks=(1, 8, 8), shards=shards, dtype="u1")
    told = json.loads((path / "0" / "zarr.json").read_text())
    told["chunk_grid"]["configuration"]["chunk_shape"] = [0, 8, 8]
    (path / "0" / "zarr.json").write_text(json.dumps(told))
    with pytest.raises(FileError, match=r"a\.zarr is stored in pieces of 0 × 8 × 8 pixels; save"):
        open_image(path)


@pytest.mark.parametrize("where", ["start", "end"])
def test_planes_that_a_shard_lacks_are_told(tmp_path: Path, where: str) -> None:
    path, axes = tmp_path / "a.zarr", [{"name": each} for each in "tzyx"]
    scale = {"type": "scale", "scale": [1.0] * 4}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    root = zarr.create_group(str(path))
    root.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [dataset]}]}
    codec = zarr.codecs.ShardingCodec(chunk_shape=(1, 1, 4, 4), index_location=where)
    array = root.create_array(
        "0",
        shape=(3, 5, 14, 16),
        chunks=(2, 4, 8, 8),
        dtype="u1",
        serializer=codec,
        compressors=None,
    )
    array[0], array[1, 2:], array[2, 4, 13, 15] = 5, 5, 5
    (remark,) = open_image(path).remarks
    assert "stores 9 of its 15 planes: each pixel of the others is 0" in remark
    shards = [each for each in (path / "0" / "c").rglob("*") if each.is_file()]
    for shard in shards:
        shard.write_bytes(shard.read_bytes()[:9])  # cut short: there, and said when it is read
    assert "stores 11 of its 15 planes" in " ".join(open_image(path).remarks)


@pytest.mark.parametrize(("shape", "written"), [((1500, 8, 8), 10), ((300, 4, 2, 8, 8), 82)])
def test_planes_of_a_long_series_are_counted_one_by_one(
    tmp_path: Path, shape: tuple[int, ...], written: int
) -> None:
    path, axes = tmp_path / "a.zarr", [{"name": each} for each in "tczyx"[-len(shape) :]]
    scale = {"type": "scale", "scale": [1.0] * len(shape)}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    if len(shape) == 3:
        axes[0] = {"name": "t"}
    root = zarr.create_group(str(path))
    root.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [dataset]}]}
    array = root.create_array("0", shape=shape, chunks=(*[1] * (len(shape) - 2), 8, 8), dtype="u1")
    for index in list(np.ndindex(shape[:-2]))[:written]:
        array[index] = 5
    (remark,) = open_image(path).remarks
    assert f"stores {written} of its {np.prod(shape[:-2]):,} planes: each" in remark
