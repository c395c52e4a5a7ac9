"""Pixels of TIFF files as they are meant, whatever their bits, palettes, opacity and order."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile

from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image

RANDOM = np.random.default_rng(0)


@pytest.fixture(params=[read_image, open_image])
def read(request: pytest.FixtureRequest) -> Callable[[Path], Micrograph]:
    return request.param


def values(image: Micrograph) -> np.ndarray:
    return np.asarray(image.data)


def by_hand(
    path: Path, shape: tuple[int, int], pixels: bytes, tags: dict[int, tuple[int, ...]]
) -> None:
    """A TIFF file of one strip, with tags of short numbers; those that do not fit into a tag lie
    after the pixels.
    """
    height, width = shape
    tags = {256: (width,), 257: (height,), 259: (1,), 277: (1,), 278: (height,)} | tags
    place, extra, entries = 8 + len(pixels), b"", []
    for code, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}H", *numbers)
        if len(packed) > 4:
            entries.append(struct.pack("<HHII", code, 3, len(numbers), place + len(extra)))
            extra += packed
        else:
            entries.append(struct.pack("<HHI", code, 3, len(numbers)) + packed.ljust(4, b"\0"))
    entries += [struct.pack("<HHII", 273, 4, 1, 8), struct.pack("<HHII", 279, 4, 1, len(pixels))]
    start = place + len(extra)
    directory = struct.pack("<H", len(entries)) + b"".join(sorted(entries)) + bytes(4)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, start) + pixels + extra + directory)


@pytest.mark.parametrize("bits", [2, 4, 8, 10, 12, 14, 16, 32])
@pytest.mark.parametrize("metadata", [None, {}])
def test_white_is_zero_is_turned_round_within_its_bits(
    tmp_path: Path, read: Callable, bits: int, metadata: dict[str, Any] | None
) -> None:
    dtype = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    raw = RANDOM.integers(0, 2**bits, (12, 16), dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", raw, photometric="miniswhite", bitspersample=bits, metadata=metadata
    )
    found = values(read(tmp_path / "a.tif"))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, 2**bits - 1 - raw.astype(np.int64))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_white_is_zero_of_signed_numbers_keeps_all_of_them(
    tmp_path: Path, read: Callable, dtype: str
) -> None:
    raw = RANDOM.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (12, 16), dtype, endpoint=True)
    tifffile.imwrite(
        tmp_path / "a.tif", raw, photometric="miniswhite", metadata=None, compression="zlib"
    )
    found = values(read(tmp_path / "a.tif"))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, -1 - raw.astype(np.int64))


def test_white_is_zero_of_real_numbers_has_no_white(tmp_path: Path, read: Callable) -> None:
    raw = RANDOM.random((12, 16), np.float32)
    tifffile.imwrite(tmp_path / "a.tif", raw, photometric="miniswhite", metadata=None)
    np.testing.assert_array_equal(values(read(tmp_path / "a.tif")), raw)


def test_bits_that_tifffile_calls_inverse_by_itself_stay_as_they_were_given(
    tmp_path: Path, read: Callable
) -> None:
    raw = RANDOM.random((12, 16)) < 0.5
    tifffile.imwrite(tmp_path / "a.tif", raw)
    np.testing.assert_array_equal(values(read(tmp_path / "a.tif")), raw)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_of_any_bits_becomes_colours(tmp_path: Path, read: Callable, bits: int) -> None:
    numbers = RANDOM.integers(0, 2**bits, (6, 16))
    palette = RANDOM.integers(0, 2**16, (3, 2**bits))
    unpacked = (numbers[..., None] >> np.arange(bits)[::-1]) & 1
    pixels = np.packbits(unpacked.reshape(6, -1), axis=1).tobytes()
    by_hand(
        tmp_path / "a.tif",
        (6, 16),
        pixels,
        {258: (bits,), 262: (3,), 320: tuple(palette.ravel().tolist())},
    )
    image = read(tmp_path / "a.tif")
    assert image.axes == "YXS"
    np.testing.assert_array_equal(values(image), (palette >> 8).astype(np.uint8).T[numbers])


@pytest.mark.parametrize("pages", [3, 12])
def test_each_page_has_the_colours_of_its_own_palette(
    tmp_path: Path, read: Callable, pages: int
) -> None:
    numbers = RANDOM.integers(0, 255, (pages, 20, 24)).astype(np.uint8)
    palettes = RANDOM.integers(0, 256, (pages, 3, 256)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for plane, palette in zip(numbers, palettes * 257, strict=True):
            tif.write(plane, photometric="palette", colormap=palette, metadata=None)
    right = [palette.T[plane] for plane, palette in zip(numbers, palettes, strict=True)]
    image = read(tmp_path / "a.tif")
    assert image.axes == "IYXS"
    np.testing.assert_array_equal(values(image), np.stack(right))


def test_each_page_of_one_bit_has_the_colours_of_its_own_palette(
    tmp_path: Path, read: Callable
) -> None:
    numbers = RANDOM.random((3, 20, 24)) < 0.5
    palettes = RANDOM.integers(0, 256, (3, 3, 2)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for plane, palette in zip(numbers, palettes * 257, strict=True):
            colours = [(320, 3, 6, palette.ravel().tolist(), True)]
            tif.write(plane, photometric="minisblack", extratags=colours, metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tif:
        for page in tif.pages:
            page.tags["PhotometricInterpretation"].overwrite(3)
    right = [palette.T[plane.astype(int)] for plane, palette in zip(numbers, palettes, strict=True)]
    np.testing.assert_array_equal(values(read(tmp_path / "a.tif")), np.stack(right))


@pytest.mark.parametrize("kind", [1, 2])
def test_a_palette_with_opacity_becomes_colours_with_opacity(
    tmp_path: Path, read: Callable, kind: int
) -> None:
    samples = RANDOM.integers(0, 256, (6, 16, 2), np.uint8)
    palette = RANDOM.integers(0, 2**16, (3, 256))
    tags = {258: (8, 8), 262: (3,), 277: (2,), 320: tuple(palette.ravel().tolist()), 338: (kind,)}
    by_hand(tmp_path / "a.tif", (6, 16), samples.tobytes(), tags)
    image = read(tmp_path / "a.tif")
    assert image.axes == "YXS"
    np.testing.assert_array_equal(
        values(image)[..., :3], (palette >> 8).astype(np.uint8).T[samples[..., 0]]
    )
    np.testing.assert_array_equal(values(image)[..., 3], samples[..., 1])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(("dtype", "whole"), [("uint8", 255), ("uint16", 65535), ("float32", 1.0)])
def test_colours_that_are_multiplied_by_opacity_are_divided_by_it(
    tmp_path: Path, read: Callable, dtype: str, whole: float, planar: str
) -> None:
    colours = (RANDOM.random((40, 24, 3)) * whole).astype(dtype)
    opacity = (RANDOM.random((40, 24, 1)) * whole).astype(dtype)
    opacity[:2] = 0
    opacity[2:4] = whole
    multiplied = colours.astype(float) * opacity / whole
    stored = np.concatenate(
        [multiplied if dtype == "float32" else multiplied.round(), opacity], -1
    ).astype(dtype)
    stored = np.ascontiguousarray(np.moveaxis(stored, -1, 0)) if planar == "separate" else stored
    options = {
        "photometric": "rgb",
        "extrasamples": ("ASSOCALPHA",),
        "planarconfig": planar,
        "metadata": None,
    }
    tifffile.imwrite(tmp_path / "a.tif", stored, tile=(16, 16), **options)
    found = values(read(tmp_path / "a.tif"))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[..., 3], opacity[..., 0])
    assert not found[:2, :, :3].any()
    np.testing.assert_array_equal(found[2:4, :, :3], colours[2:4])
    steps = np.broadcast_to(
        1e-6 * whole + 0.51 * whole / np.maximum(opacity[4:], whole / 1e6) + 0.5, colours[4:].shape
    )
    bound = np.full_like(steps, 1e-5) if dtype == "float32" else steps
    assert (np.abs(found[4:, :, :3].astype(float) - colours[4:]) <= bound).all()
    write_image(tmp_path / "b.tif", read_image(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert tif.pages.first.extrasamples == (tifffile.EXTRASAMPLE.UNASSALPHA,)


def test_colours_that_are_not_multiplied_stay_as_they_are(tmp_path: Path, read: Callable) -> None:
    stored = RANDOM.integers(0, 256, (12, 16, 4), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", extrasamples=("UNASSALPHA",), metadata=None
    )
    np.testing.assert_array_equal(values(read(tmp_path / "a.tif")), stored)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("kind", ["ASSOCALPHA", "UNASSALPHA"])
def test_greys_with_opacity_are_colours_with_opacity(
    tmp_path: Path, read: Callable, photometric: str, kind: str
) -> None:
    stored = np.full((12, 16, 2), (100, 128), np.uint8)
    options = {
        "photometric": photometric,
        "extrasamples": (kind,),
        "planarconfig": "contig",
        "metadata": None,
    }
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    image = read(tmp_path / "a.tif")
    assert image.axes == "YXS"
    grey = 155 if photometric == "miniswhite" else 100
    grey = min(round(grey * 255 / 128), 255) if kind == "ASSOCALPHA" else grey
    assert values(image)[0, 0].tolist() == [grey, grey, grey, 128]


def test_two_samples_of_which_nothing_is_said_are_channels(tmp_path: Path, read: Callable) -> None:
    stored = RANDOM.integers(0, 256, (12, 16, 2), np.uint8)
    options = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", stored, extrasamples=("UNSPECIFIED",), **options)
    image = read(tmp_path / "a.tif")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(values(image), np.moveaxis(stored, -1, 0))


PACKED: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "10 bits": (RANDOM.integers(0, 1024, (30, 40), np.uint16), {"bitspersample": 10}),
    "12 bits, tiles": (
        RANDOM.integers(0, 4096, (30, 40), np.uint16),
        {"bitspersample": 12, "tile": (16, 16)},
    ),
    "signed 8 bits": (RANDOM.integers(-128, 128, (30, 40), np.int8), {}),
    "half": (
        RANDOM.standard_normal((30, 40)).astype(np.float16),
        {"compression": "zlib", "predictor": True},
    ),
    "float predictor": (
        RANDOM.standard_normal((30, 40)).astype(np.float32),
        {"compression": "lzw", "predictor": True},
    ),
    "double": (RANDOM.standard_normal((30, 40)), {"byteorder": ">"}),
    "big": (RANDOM.integers(0, 2**16, (30, 40), np.uint16), {"bigtiff": True, "tile": (16, 32)}),
    "64 bits": (RANDOM.integers(0, 2**63, (30, 40), np.uint64), {"compression": "zlib"}),
}


@pytest.mark.parametrize("kind", PACKED)
def test_pixels_of_any_type_and_packing_are_read(tmp_path: Path, read: Callable, kind: str) -> None:
    data, options = PACKED[kind]
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", metadata=None, **options)
    found = values(read(tmp_path / "a.tif"))
    assert found.dtype == data.dtype
    np.testing.assert_array_equal(found, data)


@pytest.mark.parametrize("bits", [1, 8])
def test_bits_that_are_stored_the_other_way_round_are_turned(
    tmp_path: Path, read: Callable, bits: int
) -> None:
    raw = RANDOM.integers(0, 2**bits, (6, 16)).astype(np.uint8)
    pixels = np.packbits((raw[..., None] >> np.arange(bits)[::-1]) & 1, axis=None)
    turned = np.packbits(np.unpackbits(pixels).reshape(-1, 8)[:, ::-1])
    by_hand(tmp_path / "a.tif", (6, 16), turned.tobytes(), {258: (bits,), 262: (1,), 266: (2,)})
    np.testing.assert_array_equal(values(read(tmp_path / "a.tif")), raw)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}], ids=["as in memory", "tiles"])
@pytest.mark.parametrize("colours", [False, True])
def test_a_plain_image_stands_upright_whichever_way_its_rows_are_stored(
    tmp_path: Path, read: Callable, orientation: int, options: dict[str, Any], colours: bool
) -> None:
    raw = RANDOM.integers(0, 256, (20, 34, 3) if colours else (20, 34), np.uint8)
    tag = (274, "H", 1, orientation, True)
    kind = "rgb" if colours else "minisblack"
    density = {"resolution": (20_000, 10_000), "resolutionunit": "CENTIMETER"}  # x, y as stored
    tifffile.imwrite(
        tmp_path / "a.tif",
        raw,
        photometric=kind,
        metadata=None,
        extratags=[tag],
        **density,
        **options,
    )
    tifffile.imwrite(tmp_path / "b.tif", raw, photometric=kind, metadata=None, **density, **options)
    with PIL.Image.open(tmp_path / "b.tif") as stored:  # PIL turns some kinds of TIFF by itself
        stored.getexif()[274] = orientation
        turned = PIL.ImageOps.exif_transpose(stored)
    found = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(values(found), np.asarray(turned))
    along_rows, along_columns = 0.5, 1.0
    sideways = orientation >= 5
    assert found.pixel_size == {
        "X": pytest.approx(along_columns if sideways else along_rows),
        "Y": pytest.approx(along_rows if sideways else along_columns),
    }


def test_imagej_and_ome_know_no_orientation(tmp_path: Path, read: Callable) -> None:
    raw = RANDOM.integers(0, 256, (6, 9), np.uint8)
    for name, kind in (("a.tif", {"imagej": True}), ("b.ome.tif", {"ome": True})):
        tifffile.imwrite(tmp_path / name, raw, extratags=[(274, "H", 1, 3, True)], **kind)
        np.testing.assert_array_equal(values(read(tmp_path / name)), raw)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_real_number_that_a_file_calls_no_data_is_missing(
    tmp_path: Path, compression: str | None
) -> None:
    data = np.float32([[1, -9999], [3.5, 4]])
    for kind in (np.float32, np.int16):
        tag = (42113, 2, None, "-9999", True)
        tifffile.imwrite(
            tmp_path / "a.tif",
            data.astype(kind),
            metadata=None,
            extratags=[tag],
            compression=compression,
        )
        right = np.where(data == -9999, np.nan, data) if kind == np.float32 else data.astype(kind)
        for read in (read_image, open_image):
            found = np.asarray(read(tmp_path / "a.tif").data)
            assert found.dtype == kind
            assert np.array_equal(found, right, equal_nan=kind == np.float32)
