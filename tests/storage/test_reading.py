"""Files as other programs write them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import images_in, open_image, read_image
from napari_mdeblurgan.storage.stems import file_stem

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOUR = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)


def test_planar_colour_is_made_interleaved(tmp_path: Path) -> None:
    planar = np.ascontiguousarray(np.moveaxis(COLOUR, -1, 0))
    tifffile.imwrite(tmp_path / "a.tif", planar, photometric="rgb", planarconfig="separate")
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "YXS"
    assert image.rgb
    np.testing.assert_array_equal(image.data, COLOUR)


def test_samples_that_are_no_colours_are_channels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, photometric="minisblack", planarconfig="contig")
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.data, np.moveaxis(COLOUR, -1, 0))


@pytest.mark.parametrize("axes", ["QIYX", "QIAYX", "QIYXS"])
def test_several_axes_of_which_nothing_is_known_are_told_apart(tmp_path: Path, axes: str) -> None:
    shape = [3 if axis == "S" else 2 + number for number, axis in enumerate(axes)]
    data = np.random.default_rng(0).integers(0, 2**16, shape, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb" if "S" in axes else "minisblack")
    for read in (read_image, open_image):
        image = read(tmp_path / "a.tif")
        assert image.axes == axes
        np.testing.assert_array_equal(image.data, data)


@pytest.mark.parametrize("axes", ["zyx", "tczyx", "yx", "xy", "yxs", "iyx", "ZcYX"])
def test_axes_in_small_letters_mean_the_same(tmp_path: Path, axes: str) -> None:
    shape = [3 if axis in "sc" else 4 + number for number, axis in enumerate(axes)]
    data = np.random.default_rng(0).integers(0, 2**16, shape, np.uint16)
    kind = "rgb" if "s" in axes else "minisblack"
    for name, told in (("small", axes), ("capital", axes.upper())):
        tifffile.imwrite(tmp_path / f"{name}.tif", data, metadata={"axes": told}, photometric=kind)
    for read in (read_image, open_image):
        small, capital = (read(tmp_path / f"{name}.tif") for name in ("small", "capital"))
        assert small.axes == capital.axes
        np.testing.assert_array_equal(small.data, capital.data)


@pytest.mark.parametrize(
    ("axes", "meant"),
    [
        (["T", "Y", "X"], "TYX"),
        (["c", "y", "x"], "CYX"),
        (["channel", "y", "x"], "CYX"),
        (["time", "height", "width"], "TYX"),
        (["slices", "y", "x"], "QYX"),
    ],
)
def test_axes_in_a_list_mean_the_same(tmp_path: Path, axes: list[str], meant: str) -> None:
    data = np.arange(3 * 20 * 24, dtype=np.uint16).reshape(3, 20, 24)
    tifffile.imwrite(tmp_path / "a.tif", data, metadata={"axes": axes}, photometric="minisblack")
    for read in (read_image, open_image):
        image = read(tmp_path / "a.tif")
        assert image.axes == meant
        np.testing.assert_array_equal(image.data, data)


def test_axes_without_y_or_x_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COLOUR[..., 0], metadata={"axes": "zx"})
    with pytest.raises(FileError, match=r"2 axes \(zx\), of which none is Y or none is X; save it"):
        read_image(tmp_path / "a.tif")


def test_ome_sizes_of_different_units_are_brought_to_one(tmp_path: Path) -> None:
    metadata = {
        "axes": "ZCYX",
        "PhysicalSizeX": 200.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.25,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 0.001,
        "PhysicalSizeZUnit": "mm",
        "Channel": {"Name": ["DAPI", "GFP"]},
    }
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.zeros((3, 2, 6, 8), np.uint16),
        photometric="minisblack",
        metadata=metadata,
    )
    image = read_image(tmp_path / "a.ome.tif")
    assert image.unit == "nm"
    assert image.pixel_size == pytest.approx({"X": 200, "Y": 250, "Z": 1000})
    assert image.channel_names == ("DAPI", "GFP")
    assert image.channel_axis == 1
    assert image.name == "a"


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "UTF-16"])
def test_ome_xml_is_read_whatever_encoding_it_claims(tmp_path: Path, encoding: str) -> None:
    xml = (
        f'<?xml version="1.0" encoding="{encoding}"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="P:0" DimensionOrder="XYCZT" Type="uint8" SizeX="8" SizeY="6" SizeC="1" '
        'SizeZ="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeXUnit="µm" PhysicalSizeY="250" '
        'PhysicalSizeYUnit="nm"><Channel ID="C:0" Name="µ" SamplesPerPixel="1"/>'
        "<TiffData/></Pixels></Image></OME>"
    )
    written = xml.encode("ISO-8859-1" if encoding == "ISO-8859-1" else "UTF-8")
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, description=written, metadata=None)
    image = read_image(tmp_path / "a.ome.tif")
    assert image.unit == "µm"
    assert image.pixel_size == pytest.approx({"X": 0.5, "Y": 0.25})
    assert image.channel_names == ("µ",)


def test_ome_sizes_in_no_unit_of_length_are_left_out(tmp_path: Path) -> None:
    metadata = {"axes": "YX", "PhysicalSizeX": 1.0, "PhysicalSizeXUnit": "pixel"}
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, metadata=metadata)
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.pixel_size, image.unit) == ({}, None)


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m", "microns"])
def test_imagej_sizes_are_read_however_the_unit_is_spelled(tmp_path: Path, unit: str) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        GREY,
        imagej=True,
        resolution=(1 / 0.4, 1 / 0.5),
        metadata={"unit": unit},
    )
    image = read_image(tmp_path / "a.tif")
    assert image.unit == "µm"
    assert image.pixel_size == pytest.approx({"X": 0.4, "Y": 0.5})


def test_imagej_sizes_in_pixels_are_left_out(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", GREY, imagej=True, resolution=(1, 1), metadata={"unit": "pixel"}
    )
    assert read_image(tmp_path / "a.tif").pixel_size == {}


@pytest.mark.parametrize(
    ("unit", "um"), [("CENTIMETER", 1e4), ("MILLIMETER", 1e3), ("MICROMETER", 1.0)]
)
def test_resolution_tags_of_a_microscope_are_a_pixel_size(
    tmp_path: Path, unit: str, um: float
) -> None:
    density = (um / 0.65, um / 0.65)
    tifffile.imwrite(
        tmp_path / "a.tif", GREY, resolution=density, resolutionunit=unit, metadata=None
    )
    image = read_image(tmp_path / "a.tif")
    assert image.pixel_size == pytest.approx({"X": 0.65, "Y": 0.65})
    assert image.unit == "µm"


@pytest.mark.parametrize("dpi", [1, 72, 96, 150, 300, 600, 1200])
def test_resolution_tags_of_screens_and_printers_are_no_pixel_size(
    tmp_path: Path, dpi: int
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", GREY, resolution=(dpi, dpi), resolutionunit="INCH", metadata=None
    )
    for suffix in (".png", ".jpg", ".bmp"):
        Image.fromarray(GREY).save(tmp_path / f"a{suffix}", dpi=(dpi, dpi))
    for suffix in (".tif", ".png", ".jpg", ".bmp"):
        image = read_image(tmp_path / f"a{suffix}")
        assert (image.pixel_size, image.unit) == ({}, None), suffix


def test_a_density_in_no_unit_tells_the_proportions_of_pixels(tmp_path: Path) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    tifffile.imwrite(
        tmp_path / "a.tif", GREY, resolution=(4, 2), resolutionunit="NONE", metadata=None
    )
    Image.fromarray(GREY).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(
        content[:33] + chunk(b"pHYs", struct.pack(">IIB", 4, 2, 0)) + content[33:]
    )
    Image.fromarray(GREY).save(tmp_path / "a.jpg", dpi=(4, 2))
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(
        content.replace(b"JFIF\0\1\1\1\0\4\0\2", b"JFIF\0\1\1\0\0\4\0\2")
    )
    for suffix in (".tif", ".png", ".jpg"):
        image = read_image(tmp_path / f"a{suffix}")
        assert (image.pixel_size, image.unit) == ({"X": 1.0, "Y": 2.0}, None), suffix


def test_square_pixels_of_no_unit_tell_nothing(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", GREY, resolution=(72, 72), resolutionunit="NONE", metadata=None
    )
    Image.fromarray(GREY).save(tmp_path / "a.jpg")
    for suffix in (".tif", ".jpg"):
        assert read_image(tmp_path / f"a{suffix}").pixel_size == {}


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_bitmap_is_read_as_it_looks(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(COLOUR).convert(mode)
    picture.save(tmp_path / "a.BMP")
    image = read_image(tmp_path / "a.BMP")
    expected = picture.convert("RGB") if mode in ("P", "RGBA") else picture
    assert image.axes == ("YX" if mode in ("1", "L") else "YXS")
    assert image.pixel_size == {}
    colours = image.data[..., :3] if image.rgb else image.data
    np.testing.assert_array_equal(colours, expected)


def test_pixels_on_the_object_are_told_by_the_density_of_a_bitmap(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.bmp", dpi=(50_800, 50_800))
    assert read_image(tmp_path / "a.bmp").pixel_size == pytest.approx({"X": 0.5, "Y": 0.5})


def test_the_largest_series_is_read_and_the_first_of_equals(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(GREY[:2, :2], metadata=None)
        tif.write(GREY, metadata=None)
        tif.write(GREY.T + 100, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, GREY)


@pytest.mark.parametrize("ending", [".ome.btf", ".ome.tf2", ".OME.TF8", ".btf"])
def test_large_ome_tiff_is_read_by_the_other_endings_of_its_specification(
    tmp_path: Path, ending: str
) -> None:
    options = {"ome": True, "bigtiff": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.5}}
    tifffile.imwrite(tmp_path / "a.tif", GREY, **options)
    path = (tmp_path / "a.tif").rename(tmp_path / f"a{ending}")
    image = read_image(path)
    np.testing.assert_array_equal(image.data, GREY)
    assert (image.pixel_size, image.unit, image.name) == ({"X": 0.5}, "µm", "a")
    assert file_stem(path) == "a"


def test_a_pyramid_is_read_at_full_resolution(tmp_path: Path) -> None:
    full = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        tif.write(full, subifds=1, tile=(16, 16), metadata={"axes": "YX"})
        tif.write(full[::2, ::2], subfiletype=1, tile=(16, 16))
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").data, full)


@pytest.mark.parametrize("name", ["a.bmp", "a.png", "a.tif"])
def test_a_palette_of_greys_is_a_grey_image(tmp_path: Path, name: str) -> None:
    greys = np.random.default_rng(0).permutation(256).astype(np.uint8)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 200, (20, 24), np.uint8))
    picture.putpalette(np.repeat(greys, 3).tobytes())
    picture.save(tmp_path / name)
    for read in (read_image, open_image):
        image = read(tmp_path / name)
        assert (image.axes, image.data.dtype) == ("YX", np.uint8)
        np.testing.assert_array_equal(image.data, greys[np.asarray(picture)])


def test_a_palette_tiff_becomes_rgb(tmp_path: Path) -> None:
    palette = np.random.default_rng(0).integers(0, 255, (256, 3), np.uint8)
    picture = Image.fromarray(GREY).convert("P")
    picture.putpalette(palette.tobytes())
    for suffix in (".tif", ".png"):
        picture.save(tmp_path / f"a{suffix}")
        image = read_image(tmp_path / f"a{suffix}")
        assert image.axes == "YXS"
        np.testing.assert_array_equal(image.data, palette[np.asarray(picture)])


def test_white_is_zero_is_turned_the_right_way_round(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="miniswhite", metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, 255 - GREY)


def test_big_endian_pixels_become_native(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(">u2"), byteorder=">")
    image = read_image(tmp_path / "a.tif")
    assert image.data.dtype.isnative
    np.testing.assert_array_equal(image.data, GREY)


def test_grey_png_of_16_bits_stays_so(tmp_path: Path) -> None:
    data = GREY.astype(np.uint16) * 1000
    Image.fromarray(data).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(image.data, data)


def test_grey_with_an_opaque_alpha_is_grey(tmp_path: Path) -> None:
    Image.fromarray(GREY).convert("LA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").data, GREY)


def test_exif_orientation_turns_pixels_and_pixel_sizes(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif, dpi=(25_400 / 0.25, 25_400 / 0.5))
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.data, np.rot90(GREY, -1))
    assert image.pixel_size == pytest.approx({"X": 0.5, "Y": 0.25}, rel=1e-4)


@pytest.mark.parametrize("exif", [b"garbage", b"II*\0\xff\xff\xff\xff", b""])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_garbled_exif_turns_nothing(tmp_path: Path, exif: bytes, suffix: str) -> None:
    Image.fromarray(GREY).save(tmp_path / f"a{suffix}", exif=b"Exif\0\0" + exif, quality=100)
    data = read_image(tmp_path / f"a{suffix}").data
    np.testing.assert_allclose(data.astype(int), GREY, atol=2)


def test_previews_beside_a_jpeg_are_no_images(tmp_path: Path) -> None:
    large = np.kron(np.arange(6).reshape(2, 3) * 40, np.ones((32, 32), int)).astype(np.uint8)
    first, preview, second = map(Image.fromarray, (large, large[::4, ::4], 255 - large))
    others = [preview, second, preview]
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=others, quality=100)
    first.save(tmp_path / "b.jpg", "MPO", save_all=True, append_images=[preview], quality=100)
    assert images_in(tmp_path / "a.jpg") == ("0", "2")
    for name, image in (("0", large), ("2", 255 - large)):
        np.testing.assert_array_equal(read_image(tmp_path / "a.jpg", name).data, image)
    assert images_in(tmp_path / "b.jpg") == ("0",)
    image = read_image(tmp_path / "b.jpg")  # without a word of others
    np.testing.assert_array_equal(image.data, large)
    assert image.name == "b"


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16, 3), (200, 60, 20), np.uint8)).convert("CMYK").save(
        tmp_path / "a.jpg", quality=95
    )
    image = read_image(tmp_path / "a.jpg")
    assert image.axes == "YXS"
    np.testing.assert_allclose(image.data[8, 8], (200, 60, 20), atol=4)


def test_jpeg_is_read_in_colour_and_grey(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "colour.jpg")
    Image.fromarray(GREY).save(tmp_path / "grey.jpeg")
    assert read_image(tmp_path / "colour.jpg").axes == "YXS"
    assert read_image(tmp_path / "grey.jpeg").axes == "YX"


def test_cmyk_tiff_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 8, 4), np.uint8), photometric="separated")
    with pytest.raises(FileError, match="SEPARATED"):
        read_image(tmp_path / "a.tif")


def test_lzw_compression_is_read(tmp_path: Path) -> None:
    image = np.arange(12_000, dtype=np.uint16).reshape(100, 120)
    tifffile.imwrite(tmp_path / "a.tif", image, compression="lzw")
    assert np.array_equal(read_image(tmp_path / "a.tif").data, image)


OME_OF_TWO_CHANNELS = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="8" SizeY="6" SizeZ="1" '
    'SizeC="2" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.25"><Channel ID="Channel:0:0" '
    'SamplesPerPixel="1"/><Channel ID="Channel:0:1" SamplesPerPixel="1"/><TiffData/></Pixels>'
    "</Image></OME>"
)
IMAGEJ_OF_TWO_SLICES = "ImageJ=1.54f\nimages=2\nslices=2\nunit=um\nspacing=3\n"


@pytest.mark.parametrize(
    ("description", "axes", "sizes"),
    [
        (OME_OF_TWO_CHANNELS, "CYX", {"X": 0.5, "Y": 0.25}),
        (IMAGEJ_OF_TWO_SLICES, "ZYX", {"X": 0.1, "Y": 0.1, "Z": 3.0}),
    ],
)
def test_a_description_is_heeded_above_the_note_that_tifffile_puts_below_it(
    tmp_path: Path, description: str, axes: str, sizes: dict[str, float]
) -> None:
    planes = np.stack([GREY, GREY + 1])
    tifffile.imwrite(
        tmp_path / "a.tif",
        planes,
        description=description,
        photometric="minisblack",
        metadata={},
        resolution=(10, 10),
    )
    for read in (read_image, open_image):
        image = read(tmp_path / "a.tif")
        assert (image.axes, image.pixel_size, image.unit) == (axes, pytest.approx(sizes), "µm")
        np.testing.assert_array_equal(np.asarray(image.data), planes)


def test_a_description_copied_from_a_larger_image_does_not_hide_the_note_of_the_shape(
    tmp_path: Path,
) -> None:
    part = np.stack([GREY, GREY + 1])[:, :3]
    tifffile.imwrite(
        tmp_path / "a.tif",
        part,
        description=OME_OF_TWO_CHANNELS,
        photometric="minisblack",
        metadata={"axes": "ZYX"},
    )
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "ZYX"
    np.testing.assert_array_equal(image.data, part)


@pytest.mark.parametrize(("height", "sizes"), [(6, {"X": 0.5, "Y": 0.25}), (3, {})])
def test_ome_that_does_not_fit_the_planes_still_tells_the_sizes_of_pixels_as_large_an_image_has(
    tmp_path: Path, height: int, sizes: dict[str, float]
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        COLOUR[:height],
        description=OME_OF_TWO_CHANNELS,
        photometric="rgb",
        metadata=None,
    )
    for read in (read_image, open_image):
        image = read(tmp_path / "a.tif")
        assert (image.axes, image.pixel_size) == ("YXS", sizes)
        assert image.channel_names == ()
        np.testing.assert_array_equal(np.asarray(image.data), COLOUR[:height])
