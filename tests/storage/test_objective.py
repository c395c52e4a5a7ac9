"""What OME-TIFF says of the objective and the light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.storage import open_image, read_image
from napari_mdeblurgan.storage.objective import Objective

PIXELS = np.arange(2 * 20 * 24, dtype=np.uint16).reshape(2, 20, 24)


def ome_tiff(folder: Path, instrument: str, settings: str, channels: str) -> Path:
    """Two channels, with what is said of the microscope put into the OME-XML."""
    path = folder / "a.ome.tif"
    tifffile.imwrite(path, PIXELS, metadata={"axes": "CYX", "PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm"}, ome=True)
    xml = tifffile.tiffcomment(path)
    start = xml.index("<Image ")
    xml = f"{xml[:start]}{instrument}{xml[start:]}"
    start = xml.index("<Pixels ")
    xml = f"{xml[:start]}{settings}{xml[start:]}"
    for number, extra in enumerate(channels.split("|")):
        xml = xml.replace(f'<Channel ID="Channel:0:{number}"', f'<Channel ID="Channel:0:{number}" {extra}')
    tifffile.tiffcomment(path, xml.encode())
    return path


TWO = '<Instrument ID="I"><Objective ID="O:1" LensNA="0.5"/><Objective ID="O:2" LensNA="1.4"/></Instrument>'
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
