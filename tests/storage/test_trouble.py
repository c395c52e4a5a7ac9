"""Files that cannot be read or written: one sentence each, and nothing half-written."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import imagecodecs
import numpy as np
import psutil
import pytest
import tifffile
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_mdeblurgan.atomic import reason_of, replacing
from napari_mdeblurgan.errors import FileError, ImageError
from napari_mdeblurgan.storage import (
    Micrograph,
    check_writable,
    open_image,
    read_image,
    write_image,
)
from napari_mdeblurgan.storage.tiff import tiff_lazy

STACK = np.random.default_rng(0).integers(0, 255, (5, 32, 32), np.uint8)
IMAGE = Micrograph(STACK[0], "YX")


def refusal(path: Path) -> str:
    with pytest.raises(FileError) as caught:
        read_image(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(path) in sentence
    return sentence


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".bmp"])
def test_a_missing_file_is_named(tmp_path: Path, suffix: str) -> None:
    assert "does not exist" in refusal(tmp_path / f"a{suffix}")


def test_a_bare_array_is_not_written_as_its_axes_are_not_known(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r'ndarray does not say .*Micrograph\(array, "YX"\)'):
        write_image(tmp_path / "a.tif", STACK[0])  # type: ignore[arg-type]


def test_a_list_or_a_tensor_is_no_image_of_a_micrograph() -> None:
    with pytest.raises(ImageError, match=r"A list is no array .*numpy\.asarray"):
        Micrograph(STACK[0].tolist(), "YX")
    with pytest.raises(ImageError, match="A Tensor is no array"):
        Micrograph(torch.zeros(8, 8), "YX")


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.ome.zarr"])
def test_an_array_of_zarr_is_written(tmp_path: Path, name: str) -> None:
    stored = zarr.create_array(zarr.storage.MemoryStore(), data=STACK, chunks=(1, 20, 16))
    write_image(tmp_path / name, Micrograph(stored, "ZYX"))
    np.testing.assert_array_equal(read_image(tmp_path / name).data, STACK)


def test_micrographs_can_be_compared_and_looked_for() -> None:
    other = Micrograph(STACK[0], "YX")
    assert other != IMAGE
    assert IMAGE in {other, IMAGE}


@pytest.mark.parametrize("suffix", [".tif", ".png", ".czi", ".nd2"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html>Sign in</html>", "a web page and not the file"),
    ],
    ids=["pointer", "page"],
)
def test_what_lies_in_the_place_of_a_file_is_called_by_its_name(
    tmp_path: Path, suffix: str, content: bytes, said: str
) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    assert said in refusal(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".bmp"])
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    assert "0 bytes" in refusal(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".bmp"])
def test_other_content_than_the_name_says_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_text("a letter to a friend, much longer than any header")
    assert "not a" in refusal(tmp_path / f"a{suffix}")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path)
    (tmp_path / "a.tif").mkdir()
    assert "folder" in refusal(tmp_path / "a.tif")


def test_an_unknown_suffix_is_refused_with_those_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_bytes(b"x")
    assert ".tif, .tiff, .btf, .tf2, .tf8, .png, .jpg, .jpeg, .bmp, .zarr, .czi" in refusal(
        tmp_path / "a.xyz"
    )


@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"metadata": None, "compression": "zlib"}]
)
def test_a_stack_cut_short_is_not_read_as_a_shorter_one(tmp_path: Path, options: dict) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refusal(path)


def test_an_imagej_stack_cut_short_is_not_read_as_a_shorter_one(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refusal(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(STACK[0]).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refusal(path)


def test_a_png_of_which_a_pixel_has_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(STACK[0]).save(path)
    assert np.array_equal(read_image(path).data, STACK[0])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "its checksums are wrong" in refusal(path)


@given(st.data())
def test_a_damaged_file_is_read_or_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    suffix = data.draw(st.sampled_from([".tif", ".ome.tif", ".png"]))
    path = folder / f"a{suffix}"
    write_image(path, Micrograph(STACK[0], "YX", {"X": 0.2, "Y": 0.2}, "µm"))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        image = read_image(path)
    except FileError as error:
        image = None
        sentence = str(error)
    assert "\n" not in sentence if image is None else image.data.ndim == len(image.axes)


def test_a_png_that_claims_absurd_size_is_refused_with_that_size(tmp_path: Path) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    )
    assert "10,000 megapixels" in refusal(path)


def test_a_tiff_that_claims_absurd_size_is_refused_with_that_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, STACK[0], metadata=None, compression="zlib", rowsperstrip=32)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tif.pages.first.tags[tag].overwrite(4_000_000)
    assert "14,901.2 GiB (4000000 × 4000000 pixels) in" in refusal(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("offsets", ["none", "zero"])
def test_a_tiff_that_does_not_tell_where_its_pixels_are_is_refused(
    tmp_path: Path, compression: str | None, offsets: str
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], compression=compression, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tag = tif.pages.first.tags["StripOffsets"]
        if offsets == "zero":
            tag.overwrite(0)
            tif.pages.first.tags["StripByteCounts"].overwrite(0)
    if offsets == "none":
        content = bytearray(path.read_bytes())
        content[tag.offset : tag.offset + 2] = struct.pack("<H", 65_000)  # a tag of nobody
        path.write_bytes(content)
    assert refusal(path).endswith("it does not tell where its pixels are; copy it again.")


def test_a_tiff_larger_than_memory_is_refused_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1023))
    assert "0.0 GiB (32 × 32 pixels), which does not fit into memory" in refusal(tmp_path / "a.tif")


def test_an_empty_plane_is_compressed_as_far_as_it_goes_and_read_again(tmp_path: Path) -> None:
    image = Micrograph(np.zeros((9000, 9000), np.uint8), "YX")
    write_image(tmp_path / "a.tif", image)
    assert read_image(tmp_path / "a.tif").data.shape == (9000, 9000)


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
def test_a_plane_that_shrinks_far_more_is_read(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tif"
    mask = np.zeros((12_000, 12_000), np.uint8)
    tifffile.imwrite(path, mask, compression=compression, rowsperstrip=12_000)
    assert path.stat().st_size < 40_000
    image = read_image(path).data
    assert image.shape == mask.shape
    assert not image.any()


def test_a_tiff_of_any_compression_that_claims_absurd_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, STACK[0], metadata=None, compression="zstd", rowsperstrip=32)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tif.pages.first.tags[tag].overwrite(4_000_000)
    assert "does not fit into memory" in refusal(path)


def test_a_colour_png_of_16_bits_that_is_cut_short_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 2**16, (40, 50, 3), dtype=np.uint16)
    path.write_bytes(imagecodecs.png_encode(pixels)[:5000])
    assert "damaged or cut short" in refusal(path)


def test_a_compression_that_needs_another_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lacking:
        def __getitem__(self, _: int) -> None:
            raise KeyError("imagecodecs")

    path = tmp_path / "a.tif"
    Image.fromarray(STACK[0]).save(path, compression="tiff_lzw")
    monkeypatch.setitem(vars(tifffile.TIFF), "DECOMPRESSORS", Lacking())
    assert "LZW, which needs the package imagecodecs" in refusal(path)


@pytest.mark.parametrize("read", [read_image, lambda path: np.asarray(open_image(path).data)])
def test_what_a_decoder_says_of_the_data_is_said_of_the_file(
    tmp_path: Path, read: Callable
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tif:
        start = tif.pages.first.dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[start + 10 : start + 60] = bytes(50)
    path.write_bytes(content)
    with pytest.raises(FileError, match="may be damaged or cut short"):
        read(path)


@pytest.mark.parametrize("read", [read_image, open_image])
@pytest.mark.parametrize(
    ("number", "mend"),
    [(errno.EIO, "its drive"), (errno.ESTALE, "its drive"), (errno.EMFILE, "ulimit")],
)
def test_a_lost_drive_is_not_taken_for_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable, number: int, mend: str
) -> None:
    def lost(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    monkeypatch.setattr(tiff_lazy, "arranged_pixels", lost)
    with pytest.raises(FileError, match=f"{os.strerror(number)[1:]}; .*{mend}") as caught:
        read(tmp_path / "a.tif")
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("read", [read_image, open_image])
def test_an_error_of_this_program_is_told_as_one_and_logged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    read: Callable,
) -> None:
    def faulty(*_: object) -> None:
        np.zeros(3)[np.zeros(4, bool)]

    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    monkeypatch.setattr(tiff_lazy, "arranged_pixels", faulty)
    with pytest.raises(
        FileError,
        match=r"an error in this program, not in the file \(IndexError: .*\); see the log",
    ) as caught:
        read(tmp_path / "a.tif")
    assert "damaged" not in str(caught.value)
    assert "Traceback" in caplog.text


def test_what_a_decoder_cannot_do_may_be_due_to_the_file_or_to_the_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], compression="zlib")
    monkeypatch.setattr(tifffile.TiffPage, "decode", property(lambda page: page.no_such_decoder))
    assert "either it is damaged, or tifffile does not know its kind" in refusal(tmp_path / "a.tif")


def test_what_stands_in_the_way_of_writing_is_found_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no folder"):
        check_writable(tmp_path / "missing" / "a.tif", "YX", "uint8")
    with pytest.raises(FileError, match="kind that is written"):
        check_writable(tmp_path / "a.jpg", "YX", "uint8")
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(FileError, match="folder has that name"):
        check_writable(tmp_path / "a.tif", "YX", "uint8")
    for axes in ("QIYX", "VYX", "CQYX", "QTZYX"):
        with pytest.raises(
            FileError, match=f"OME-TIFF cannot hold an axis . of {axes}; write b.tif"
        ):
            check_writable(tmp_path / "b.ome.tif", axes, "uint8")


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".png"])
@pytest.mark.parametrize(
    ("number", "word"),
    [(errno.ENOSPC, "full"), (errno.EACCES, "may not be written"), (errno.EIO, "error")],
)
def test_a_failure_on_disk_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, number: int, word: str
) -> None:
    def failing(_: int) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(FileError, match=word):
        write_image(path, IMAGE)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.png"])
def test_a_file_that_outgrows_its_limit_leaves_nothing(tmp_path: Path, name: str) -> None:
    program = f"""
import resource, numpy as np
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, write_image
noise = np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_image({str(tmp_path / name)!r}, Micrograph(noise, "YX"))
except FileError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "larger than a file may be" in result.stdout
    assert not list(tmp_path.iterdir())


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with replacing(tmp_path / "a.tif") as handle:
            handle.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.png"])
def test_a_private_file_stays_private_when_it_is_replaced(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_image(path, IMAGE)
    path.chmod(0o600)
    write_image(path, IMAGE)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "a.png"
    link.symlink_to(tmp_path / "far" / "a.png")
    write_image(link, IMAGE)
    assert link.is_symlink()
    np.testing.assert_array_equal(read_image(tmp_path / "far" / "a.png").data, IMAGE.data)


def test_where_no_folder_takes_temporary_files_that_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/Tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    lacking = (
        "no folder for temporary files can be written to; make room on the disk, or name a "
        "folder with TMPDIR"
    )
    with pytest.raises(FileNotFoundError) as caught:
        tempfile.gettempdir()
    assert reason_of(caught.value, tmp_path) == lacking
    assert reason_of(OSError("Matplotlib requires a cache"), tmp_path) == lacking
    full = OSError(errno.ENOSPC, "No space left on device")
    assert reason_of(full, tmp_path).startswith("the disk is full")


def test_what_a_library_says_keeps_its_capitals(tmp_path: Path) -> None:
    error = OSError("Set MPLCONFIGDIR, for /Home cannot be written.")
    assert reason_of(error, tmp_path) == "set MPLCONFIGDIR, for /Home cannot be written"


def test_the_folder_that_may_not_be_written_to_is_one_that_is_there(tmp_path: Path) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "a"))
    assert reason_of(error, tmp_path / "a" / "b").startswith(f"folder {tmp_path} may not be")
