"""Nikon ND2: files in the layout of NIS-Elements, with their metadata as XML, read by nd2."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import images_in, open_image, read_image
from napari_mdeblurgan.storage.objective import Objective

pytest.importorskip("nd2")
MAGIC = 0x0ABECEDA
STACK = np.random.default_rng(0).integers(0, 60000, (2, 3, 2, 20, 24), np.uint16)  # t, z, c, y, x
TIMES = {
    "eType": 1,
    "uLoopPars": {"uiCount": 2, "dStart": 0.0, "dPeriod": 2500.0, "dDuration": 5000.0},
}
SLICES = {
    "eType": 4,
    "uLoopPars": {
        "uiCount": 3,
        "dZLow": 0.0,
        "dZHigh": 1.0,
        "dZStep": 0.5,
        "dZHome": 0.5,
        "iType": 2,
    },
}


def node(name: str, value: Any) -> str:
    if isinstance(value, dict):
        inner = "".join(node(*each) for each in value.items())
        return f'<{name} runtype="CLxListVariant">{inner}</{name}>'
    kind = {bool: "bool", int: "lx_uint32", float: "double", str: "CLxStringW"}[type(value)]
    return f'<{name} runtype="{kind}" value="{value}"/>'


def chunk(name: bytes, data: bytes, length: int) -> bytes:
    return struct.pack("<IIQ", MAGIC, length, len(data)) + name.ljust(length, b"\0") + data


def plane(name: str, colour: int, wavelength: float) -> dict[str, Any]:
    spectrum = {
        "uiCount": 1,
        "pPoint": {"Point0": {"eType": 1, "dWavelength": wavelength, "dTValue": 1.0}},
    }
    probe = {"m_EmissionSpectrum": spectrum, "m_ExcitationSpectrum": {"uiCount": 0}}
    return {
        "sDescription": name,
        "uiCompCount": 1,
        "uiColor": colour,
        "pFluorescentProbe": probe,
        "uiModalityMask": 1,
    }


def microscope(planes: Sequence[dict[str, Any]], components: int) -> dict[str, Any]:
    lens = {
        "dObjectiveNA": 1.4,
        "dObjectiveMag": 60.0,
        "wsObjectiveName": "Plan Apo 60x Oil",
        "dRefractIndex1": 1.515,
    }
    pictures = {
        "uiCount": len(planes),
        "uiCompCount": components,
        "sPlaneNew": {f"a{number}": each for number, each in enumerate(planes)},
    }
    return lens | {
        "dCalibration": 0.1,
        "bCalibrated": True,
        "dAspect": 1.0,
        "dZStep": 0.5,
        "sPicturePlanes": pictures,
    }


CHANNELS = [
    plane("DAPI", 0xFF0000, 460.0),
    plane("GFP", 0x00FF00, 520.0),
]  # blue is the highest byte


def write_nd2(
    path: Path,
    frames: Sequence[np.ndarray],
    loops: dict[str, Any] | None = None,
    planes: Sequence[dict[str, Any]] = CHANNELS,
    *,
    packed: bool = False,
    **attributes: int,
) -> Path:
    """A file of frames (y, x, channels) or (y, x, colours)."""
    height, width, components = frames[0].shape
    size = frames[0].itemsize
    told = {
        "uiWidth": width,
        "uiWidthBytes": width * components * size,
        "uiHeight": height,
        "uiComp": components,
        "uiBpcInMemory": 8 * size,
        "uiBpcSignificant": 8 * size,
        "uiSequenceCount": len(frames),
        "eCompression": 0 if packed else 2,
    } | attributes
    trees = {b"ImageAttributes!": told, b"ImageMetadataSeq|0!": microscope(planes, components)}
    trees |= {b"ImageMetadata!": loops} if loops else {}
    content, places = (
        chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver2.1".ljust(64, b"\0"), 32),
        b"",
    )
    for number, frame in enumerate(frames):
        name, data = b"ImageDataSeq|%d!" % number, frame.tobytes()
        places += name + struct.pack("<QQ", len(content), len(data))
        content += chunk(name, bytes(8) + (zlib.compress(data) if packed else data), 4072)
    for name, tree in trees.items():
        xml = f'<variant version="1.0">{node("no_name", tree)}</variant>'.encode()
        places += name + struct.pack("<QQ", len(content), len(xml))
        content += chunk(name, xml, 64)
    places += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", len(content))
    path.write_bytes(content + chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", places, 32))
    return path


def frames_of(data: np.ndarray) -> list[np.ndarray]:
    return [np.moveaxis(each, 0, -1) for each in data.reshape(-1, *data.shape[-3:])]


def write_stack(path: Path, **options: Any) -> Path:
    return write_nd2(
        path, frames_of(STACK), TIMES | {"ppNextLevelEx": {"no_name": SLICES}}, **options
    )


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_read_lazily_with_all_that_it_tells(tmp_path: Path, packed: bool) -> None:
    image = open_image(write_stack(tmp_path / "cells.nd2", packed=packed))
    assert isinstance(image.data, da.Array)
    assert (image.axes, image.name, image.data.dtype, image.remarks) == (
        "TZCYX",
        "cells",
        np.uint16,
        (),
    )
    np.testing.assert_array_equal(np.asarray(image.data), STACK)
    np.testing.assert_array_equal(
        np.asarray(image.data[1, :, 0, 3:9, -5:]), STACK[1, :, 0, 3:9, -5:]
    )
    assert image.pixel_size == pytest.approx({"X": 0.1, "Y": 0.1, "Z": 0.5})
    assert (image.unit, image.time_step_s, image.channel_names) == ("µm", 2.5, ("DAPI", "GFP"))
    assert [each.color for each in image.display] == [(0, 0, 255), (0, 255, 0)]
    assert image.objective == Objective(1.4, 0.49, 60, "Oil")


def test_positions_are_images_of_their_own(tmp_path: Path) -> None:
    points = {
        f"i{n:010}": {"dPosX": float(n), "dPosY": 0.0, "dPosName": name}
        for n, name in enumerate(("A1", "B2"))
    }
    loops = {
        "eType": 2,
        "uLoopPars": {"uiCount": 2, "Points": points},
        "ppNextLevelEx": {"no_name": SLICES},
    }
    path = write_nd2(tmp_path / "a.nd2", frames_of(STACK), loops)
    assert images_in(path) == ("A1", "B2")
    image = read_image(path, "B2")
    np.testing.assert_array_equal(image.data, STACK[1])
    assert (image.axes, image.name) == ("ZCYX", "a B2")


def test_colours_are_red_green_and_blue(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 255, (20, 24, 3), np.uint8)
    colour = [plane("Brightfield", 0xFFFFFF, 0.0) | {"uiCompCount": 3}]
    image = read_image(write_nd2(tmp_path / "a.nd2", [data[..., ::-1].copy()], planes=colour))
    assert (image.axes, image.channel_names, image.display) == ("YXS", (), ())
    np.testing.assert_array_equal(image.data, data)


def test_of_a_series_that_was_stopped_early_whole_time_points_are_read(tmp_path: Path) -> None:
    loops = TIMES | {"ppNextLevelEx": {"no_name": SLICES}}
    image = read_image(write_nd2(tmp_path / "a.nd2", frames_of(STACK)[:5], loops))
    np.testing.assert_array_equal(image.data, STACK[0])
    assert image.remarks == (
        "The acquisition was stopped early: of 2 time points 1 are whole and are read.",
    )


def test_pixels_are_read_where_the_library_does_not_know_the_metadata(tmp_path: Path) -> None:
    strange = [{"sDescription": "A", "uiCompCount": 1, "uiColor": 0, "uiModalityMask": 1}]
    image = read_image(write_nd2(tmp_path / "a.nd2", [STACK[0, 0, 0][..., None]], planes=strange))
    np.testing.assert_array_equal(image.data, STACK[0, 0, 0])
    assert image.pixel_size == {}
    assert image.remarks == (
        "nd2 cannot read what this file tells of its pixel size, channels and objective.",
    )


def test_frames_that_the_map_does_not_lead_to_are_missed(tmp_path: Path) -> None:
    path = write_stack(tmp_path / "a.nd2")
    content = path.read_bytes()
    place = content.rindex(b"ImageDataSeq|3!") + 15
    path.write_bytes(content[:place] + struct.pack("<Q", len(content)) + content[place + 8 :])
    with pytest.raises(
        FileError,
        match=r"a\.nd2 is damaged or cut short: 5 of its 6 frames are there; copy it again\.$",
    ):
        open_image(path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("share", [0.0001, 0.05, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = write_stack(tmp_path / "a.nd2")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FileError, match=r"a\.nd2 .*\S$") as told:
        read_image(path)
    assert "error in this program" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "attributes", [{"uiHeight": 2_000_000_000}, {"uiSequenceCount": 2_000_000_000}]
)
def test_a_claim_of_more_than_there_is_takes_no_memory(
    tmp_path: Path, attributes: dict[str, int]
) -> None:
    path = write_stack(tmp_path / "a.nd2", **attributes)
    tracemalloc.start()
    try:
        with pytest.raises(
            FileError, match=r"a\.nd2 is damaged or cut short: it claims to hold [\d,]+ frames"
        ):
            open_image(path)
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


def test_what_the_library_says_of_a_file_names_it_as_users_do(tmp_path: Path) -> None:
    (tmp_path / "a.nd2").write_bytes(b"no nd2" * 100)
    with pytest.raises(FileError, match=rf"\(file '?{tmp_path}/a\.nd2'? not recognized") as caught:
        open_image(tmp_path / "a.nd2")
    assert "Path(" not in str(caught.value)
