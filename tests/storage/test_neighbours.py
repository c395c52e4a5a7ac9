"""Reading changes nothing for others: filters of warnings, what tifffile logs, and files read at
the same time.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import dask.array  # noqa: F401 - while it is loaded, pandas sets filters of warnings
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image, ImageFile

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image

GREYS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


def _zarr(path: Path) -> Path:
    """With a unit that is in no list, and a level whose name has a space in it."""
    path = path.with_suffix(".ome.zarr")
    write_image(path, Micrograph(GREYS, "YX", {"X": 1.0, "Y": 1.0}, "µm"))
    group = zarr.open_group(str(path), mode="r+")
    (path / "0").rename(path / "level 0")
    ome = group.attrs.asdict()["ome"]
    ome["multiscales"][0]["datasets"][0]["path"] = "level 0"
    for axis in ome["multiscales"][0]["axes"]:
        axis["unit"] = "um"
    group.attrs["ome"] = ome
    return path


def _colour_first(path: Path) -> Path:
    tifffile.imwrite(
        path, np.zeros((3, 64, 64), np.uint8), photometric="rgb", planarconfig="separate"
    )
    return path


def _big_endian(path: Path) -> Path:
    tifffile.imwrite(path, GREYS, byteorder=">")
    return path


def _white_is_zero(path: Path) -> Path:
    tifffile.imwrite(path, GREYS, photometric="miniswhite")
    return path


KINDS: tuple[Callable[[Path], Path], ...] = (_zarr, _colour_first, _big_endian, _white_is_zero)


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Whoever sets the filters of warnings for a while, which is not safe where
    there are threads.
    """
    found: list[object] = []
    enter = warnings.catch_warnings.__enter__

    def noting(self: warnings.catch_warnings) -> object:
        found.append(sys._getframe(1).f_code)
        return enter(self)

    with monkeypatch.context() as patch:
        patch.setattr(warnings.catch_warnings, "__enter__", noting)
        yield found


@pytest.mark.filterwarnings("error:.*SHOULD be one of", "error:.*potentially risky")
@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("read", [open_image, read_image])
def test_reading_neither_warns_nor_touches_the_filters_of_warnings(
    tmp_path: Path,
    entered: list[object],
    make: Callable[[Path], Path],
    read: Callable[[Path], Micrograph],
) -> None:
    path = make(tmp_path / "a.tif")
    entered.clear()
    micrograph = read(path)
    assert entered == []
    assert micrograph.data.shape[:2] == (64, 64)


def test_units_and_names_that_need_not_be_of_a_list_are_read_as_they_are(tmp_path: Path) -> None:
    micrograph = open_image(_zarr(tmp_path / "a.tif"))
    assert (micrograph.pixel_size["X"], micrograph.unit) == (1.0, "µm")
    np.testing.assert_array_equal(np.asarray(micrograph.data), GREYS)


def test_neither_reading_nor_writing_an_ome_zarr_settles_how_processes_are_started(
    tmp_path: Path,
) -> None:
    image = Micrograph(GREYS, "YX")
    write_image(tmp_path / "a.ome.zarr", image)
    for work in ("read_image(path)", "write_image(path.with_name('b.ome.zarr'), image)"):
        program = f"""
import multiprocessing, sys
from pathlib import Path
import numpy as np
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
path, image = Path(sys.argv[1]), Micrograph(np.ones((64, 64), np.uint16), "YX")
{work}
multiprocessing.set_start_method("spawn")
"""
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "a.ome.zarr")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(read_image(tmp_path / "b.ome.zarr").data, 1)


@pytest.fixture
def sound_and_damaged(tmp_path: Path) -> tuple[Path, Path]:
    sound, damaged = tmp_path / "sound.tif", tmp_path / "damaged.tif"
    for path in (sound, damaged):
        tifffile.imwrite(path, np.zeros((6, 64, 64), np.uint8), metadata=None)
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    return sound, damaged


def test_a_damaged_file_in_one_thread_is_not_held_against_a_sound_one_in_another(
    sound_and_damaged: tuple[Path, Path],
) -> None:
    from napari_mdeblurgan.storage.chatter import chatter

    sound, damaged = sound_and_damaged
    refused: list[str] = []

    def read_damaged() -> None:
        with pytest.raises(FileError) as error:
            read_image(damaged)
        refused.append(str(error.value))

    with chatter("tifffile") as of_this_thread:
        other = threading.Thread(target=read_damaged)
        other.start()
        other.join()
        assert read_image(sound).data.shape == (6, 64, 64)
    assert of_this_thread == []
    assert "damaged or cut short" in refused[0]
    assert logging.getLogger("tifffile").handlers == []


def test_what_others_are_told_by_tifffile_meanwhile_reaches_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from napari_mdeblurgan.storage.chatter import chatter

    logger = logging.getLogger("tifffile")
    logger.propagate = False  # pytest listens above
    try:
        with chatter("tifffile") as one, chatter("tifffile") as two:
            other = threading.Thread(target=logger.warning, args=("a remark",))
            other.start()
            other.join()
    finally:
        logger.propagate = True
    assert (one, two) == ([], [])
    assert capsys.readouterr().err.count("a remark") == 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_picture_cut_short_is_refused_though_others_have_pillow_make_the_best_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    sound, damaged = tmp_path / f"sound{suffix}", tmp_path / f"damaged{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(sound)
    damaged.write_bytes(sound.read_bytes()[: sound.stat().st_size // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(FileError, match="damaged or cut short"):
        read_image(damaged)
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    assert read_image(sound).data.shape == (64, 64)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.filterwarnings("error")
def test_no_limit_of_pixels_that_others_have_set_refuses_a_sound_picture_or_warns_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)
    for limit in (100, 3000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert read_image(path).data.shape == (64, 64)
        assert open_image(path).data.shape == (64, 64)
        assert limit == Image.MAX_IMAGE_PIXELS
