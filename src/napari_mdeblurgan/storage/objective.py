"""What an image was taken with, as far as its file tells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from xml.etree.ElementTree import Element

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage.geometry import MICROMETRES, unit_of_length

LARGEST_NA = 1.7


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective and the light that made an image.

    Attributes
    ----------
    numerical_aperture : float
        Above 0 and up to 1.7.
    wavelength_um : float or None
        In vacuum, in µm, the mean of the channels'; None where it is not known.

    Raises
    ------
    ImageError
        Where a number is impossible.
    """

    numerical_aperture: float
    wavelength_um: float | None = None

    def __post_init__(self) -> None:
        aperture, wave = self.numerical_aperture, self.wavelength_um
        if not 0 < aperture <= LARGEST_NA:
            raise ImageError(f"A numerical aperture of {aperture:g} is impossible; give one up to {LARGEST_NA:g}.")
        if wave is not None and not (math.isfinite(wave) and wave > 0):
            raise ImageError(f"A wavelength of {wave:g} µm is impossible; give one above 0.")


def ome_objective(root: Element, image: Element) -> Objective | None:
    """What an OME-XML says of the objective of one of its images.

    Parameters
    ----------
    root : Element
        The whole OME-XML, in which the microscope stands.
    image : Element
        The image. Where it does not say which objective it was taken with, the only one is.

    Notes
    -----
    The wavelength is that of emission, or else of excitation, of the image's channels.
    """
    settings = image.find("{*}ObjectiveSettings")
    wanted = None if settings is None else settings.get("ID")
    lenses = [lens for lens in root.iterfind("{*}Instrument/{*}Objective") if wanted in (None, lens.get("ID"))]
    aperture = _number(lenses[0].get("LensNA")) if len(lenses) == 1 else math.nan
    if not 0 < aperture <= LARGEST_NA:
        return None
    waves = [wave for channel in image.iterfind("{*}Pixels/{*}Channel") if (wave := _wavelength_um(channel))]
    return Objective(aperture, fmean(waves) if waves else None)


def _wavelength_um(channel: Element) -> float | None:
    for kind in ("Emission", "Excitation"):
        unit = unit_of_length(channel.get(f"{kind}WavelengthUnit", "nm"))
        length = _number(channel.get(f"{kind}Wavelength")) * MICROMETRES.get(unit or "", math.nan)
        if length > 0:
            return length
    return None


def _number(text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
