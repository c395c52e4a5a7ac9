"""What files say of the objective and the light."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.storage.objective import Objective, named_objective

PIXELS = np.arange(2 * 20 * 24, dtype=np.uint16).reshape(2, 20, 24)


def ome_tiff(folder: Path, instrument: str, settings: str, channels: str) -> Path:
    """Two channels, with what is said of the microscope put into the OME-XML."""
    path = folder / "a.ome.tif"
    tifffile.imwrite(
        path,
        PIXELS,
        metadata={"axes": "CYX", "PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm"},
        ome=True,
    )
    xml = tifffile.tiffcomment(path)
    start = xml.index("<Image ")
    xml = f"{xml[:start]}{instrument}{xml[start:]}"
    start = xml.index("<Pixels ")
    xml = f"{xml[:start]}{settings}{xml[start:]}"
    for number, extra in enumerate(channels.split("|")):
        xml = xml.replace(
            f'<Channel ID="Channel:0:{number}"', f'<Channel ID="Channel:0:{number}" {extra}'
        )
    tifffile.tiffcomment(path, xml.encode())
    return path


TWO = (
    '<Instrument ID="I"><Objective ID="O:1" LensNA="0.5"/><Objective ID="O:2" '
    'LensNA="1.4"/></Instrument>'
)
ONE = '<Instrument ID="I"><Objective ID="O:1" LensNA="0.5"/></Instrument>'
WAVES = 'EmissionWavelength="510"|EmissionWavelength="0.61" EmissionWavelengthUnit="µm"'


@pytest.mark.parametrize(
    ("instrument", "settings", "channels", "expected"),
    [
        (TWO, '<ObjectiveSettings ID="O:2"/>', WAVES, Objective(1.4, 0.56)),
        (ONE, "", 'ExcitationWavelength="488"|', Objective(0.5, 0.488)),
        (ONE, "", "|", Objective(0.5)),
        (TWO, "", WAVES, None),
        ("", "", WAVES, None),
        (ONE.replace("0.5", "17"), "", WAVES, None),
        (ONE.replace("0.5", "x"), "", WAVES, None),
    ],
)
def test_aperture_and_mean_wavelength(
    tmp_path: Path, instrument: str, settings: str, channels: str, expected: Objective | None
) -> None:
    path = ome_tiff(tmp_path, instrument, settings, channels)
    for image in (read_image(path), open_image(path)):
        if expected is None:
            assert image.objective is None
        else:
            assert image.objective is not None
            assert image.objective.numerical_aperture == expected.numerical_aperture
            assert image.objective.wavelength_um == pytest.approx(expected.wavelength_um)


XML = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Instrument ID="I"><Objective '
    'ID="O:1" LensNA="0.5"/>'
    '<Objective ID="O:2" LensNA="1.4"/></Instrument>{images}</OME>'
)
IMAGE = (
    '<Image ID="Image:{n}"><ObjectiveSettings ID="O:{n}"/><Pixels><Channel '
    'EmissionWavelength="510"/></Pixels></Image>'
)


def zarr_image(path: Path) -> None:
    write_image(path.with_name("a.zarr"), Micrograph(PIXELS, "CYX"))
    path.with_name("a.zarr").rename(path)


@pytest.mark.parametrize(("series", "expected"), [(["first", "0"], 1.4), (None, 0.5)])
def test_the_ome_xml_beside_an_ome_zarr_tells_its_objective(
    tmp_path: Path, series: list[str] | None, expected: float
) -> None:
    root = tmp_path / "many.zarr"
    root.mkdir()
    zarr_image(root / "0")
    (root / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    (root / "OME").mkdir()
    images = "".join(IMAGE.format(n=number) for number in (1, 2))
    (root / "OME" / "METADATA.ome.xml").write_text(XML.format(images=images))
    if series:
        document = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": {"series": series}},
        }
        (root / "OME" / "zarr.json").write_text(json.dumps(document))
    for path in (root, root / "0"):
        assert open_image(path).objective == Objective(expected, 0.51)


@pytest.mark.parametrize(
    "xml", [None, "<OME", '<?xml version="1.0" encoding="none"?><OME/>', XML.format(images="")]
)
def test_an_ome_zarr_without_such_a_file_or_with_a_garbled_one_is_read_all_the_same(
    tmp_path: Path, xml: str | None
) -> None:
    zarr_image(tmp_path / "0")
    if xml is not None:
        (tmp_path / "OME").mkdir()
        (tmp_path / "OME" / "METADATA.ome.xml").write_text(xml)
    assert open_image(tmp_path / "0").objective is None


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"TINosePiece-Label": "1-Plan Apo λ 20x/0.75"}, 0.75),
        ({"ObjectiveTurret-Label": {"PropVal": "Plan Fluor 40X NA 1,3 Oil"}}, 1.3),
        ({"Objective-Label": "Nikon 10X S Fluor"}, None),
        ({"Objective-Label": "20x/0.75", "Nosepiece-Label": "10x/0.3"}, None),
        ({"Filter-Label": "20x/0.75", "Objective-State": "0.75"}, None),
        ({"Objective-Label": "20x/1.9"}, None),
        ({"Objective-Label": 7}, None),
    ],
)
def test_labels_of_micro_manager_tell_the_aperture(
    properties: dict[str, object], expected: float | None
) -> None:
    found = named_objective(properties)
    assert (None if found is None else found.numerical_aperture) == expected
