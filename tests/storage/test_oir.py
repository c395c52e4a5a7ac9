"""Olympus OIR: files in the layout of the FluoView FV3000, read by oirfile, which needs Python
3.12.
"""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import images_in, open_image, read_image
from napari_mdeblurgan.storage.objective import Objective

pytest.importorskip("oirfile")
STACK = np.random.default_rng(0).integers(0, 4095, (2, 3, 2, 20, 24), np.uint16)  # t, z, c, y, x
METADATA, FRAME, UID, PIXELS = 0, 1, 3, 4
CHANNELS = ("aaaaaaaa-0000", "bbbbbbbb-1111")
FRAME_XML = (
    '<?xml version="1.0"?><f><width>{1}</width><height>{0}</height><depth>2</depth>'
    "<colorType>Gray</colorType></f>"
)
IMAGE_XML = """<?xml version="1.0"?><lsmimage:image xmlns:lsmimage="a" xmlns:opticalelement="b">
<channel id="aaaaaaaa-0000" order="1"><name>DAPI</name><startWavelength>430</startWavelength>
<endWavelength>490</endWavelength></channel><channel id="bbbbbbbb-1111" order="2"><name>GFP</name>
<startWavelength>500</startWavelength><endWavelength>540</endWavelength></channel>
<axis enable="true"><axis>ZSTACK</axis><startPosition>0</startPosition><step>0.5</step>
<maxSize>3</maxSize></axis>
<axis enable="true"><axis>TIMELAPSE</axis><startPosition>0</startPosition><step>2.5</step>
<maxSize>2</maxSize></axis>
<objectiveLens><opticalelement:displayName>UPLXAPO60XO</opticalelement:displayName>
<opticalelement:magnification>60</opticalelement:magnification>
<opticalelement:naValue>1.42</opticalelement:naValue>
<opticalelement:immersion>Oil</opticalelement:immersion></objectiveLens>
<length><x>0.1</x><y>0.2</y></length></lsmimage:image>"""


def write_oir(path: Path, height: int = 20) -> Path:
    content, places = bytes(96), []

    def block(kind: int, data: bytes, begin: bytes = b"") -> None:
        nonlocal content
        places.append(len(content))
        content += struct.pack("<II", len(data), kind) + begin + data

    block(FRAME, FRAME_XML.format(height, 24).encode())
    block(METADATA, IMAGE_XML.encode())
    for t, z, c in np.ndindex(STACK.shape[:3]):
        uid = f"z{z + 1:03}t{t + 1:03}_0_1_{CHANNELS[c]}_0".encode()
        block(UID, uid, struct.pack("<III", 0, 0, len(uid)))
        block(PIXELS, STACK[t, z, c].tobytes())
    index = struct.pack("<I", 0xFFFFFFFF) + struct.pack(f"<{len(places)}Q", *places)
    header = (
        b"OLYMPUSRAWFORMAT"
        + bytes(16)
        + struct.pack("<QQ", len(content) + len(index), len(content))
    )
    path.write_bytes(header.ljust(96, b"\0") + content[96:] + index)
    return path


def test_a_file_is_read_with_all_that_it_tells(tmp_path: Path) -> None:
    path = write_oir(tmp_path / "cells.oir")
    image = read_image(path)
    assert (image.axes, image.name, image.data.dtype, images_in(path)) == (
        "TZCYX",
        "cells",
        np.uint16,
        ("0",),
    )
    np.testing.assert_array_equal(image.data, STACK)
    assert image.pixel_size == pytest.approx({"X": 0.1, "Y": 0.2, "Z": 0.5})
    assert (image.unit, image.time_step_s, image.channel_names) == ("µm", 2.5, ("DAPI", "GFP"))
    assert image.objective == Objective(1.42, 0.49, 60, "Oil")


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = write_oir(tmp_path / "a.oir")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FileError, match=r"a\.oir .*\S$") as told:
        read_image(path)
    assert "error in this program" not in str(told.value)


def test_a_claim_of_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    path = write_oir(tmp_path / "a.oir", height=2_000_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"a\.oir is damaged or cut short; copy it again\.$"):
            open_image(path)
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()
