"""What an image was taken with, as far as its file tells."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage.geometry import MICROMETRES, unit_of_length

LARGEST_NA = 1.7
NAMES_APERTURE = re.compile(r"(?:\bNA\s*[:=]?\s*|\d\s*[x×]\s*/\s*)([01][.,]\d+)", re.IGNORECASE)
NAMES_MAGNIFICATION = re.compile(r"\b(\d+(?:[.,]\d+)?)\s*[x×]", re.IGNORECASE)
IMMERSIONS = {
    "Oil": r"\boil\b",
    "Water": r"\bwater\b|\bw\b",
    "Glycerol": r"\bgly",
    "Silicone": r"\bsil",
}
REFRACTIVE = {
    "Air": (1.0, 1.01),
    "Water": (1.33, 1.34),
    "Silicone": (1.39, 1.42),
    "Glycerol": (1.44, 1.48),
    "Oil": (1.51, 1.53),
}
SHORTEST_UM, LONGEST_UM = (
    0.1,
    3.0,
)  # of light that is imaged; files write 0 and -1 for what they do not know
HOLDERS = (
    "objective",
    "nosepiece",
)  # in what Micro-Manager calls the device that holds the objectives


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective and the light that made an image.

    Attributes
    ----------
    numerical_aperture : float
        Above 0 and up to 1.7.
    wavelength_um : float or None
        In vacuum, in µm, 0.1 to 3, the mean of the channels'; None where it is not known.
    magnification : float or None
        As it is engraved; None where it is not known.
    immersion : str
        "Oil", "Water", "Air", … as the file spells it; empty where it is not known.

    Raises
    ------
    ImageError
        Where a number is impossible.
    """

    numerical_aperture: float
    wavelength_um: float | None = None
    magnification: float | None = None
    immersion: str = ""

    def __post_init__(self) -> None:
        aperture, wave = self.numerical_aperture, self.wavelength_um
        if not 0 < aperture <= LARGEST_NA:
            raise ImageError(
                f"A numerical aperture of {aperture:g} is impossible; give one up to "
                f"{LARGEST_NA:g}."
            )
        if wave is not None:
            check_light(wave)


def is_light(wavelength_um: float) -> bool:
    """Whether light of this wavelength in µm can have made an image."""
    return SHORTEST_UM <= wavelength_um <= LONGEST_UM


def check_light(wavelength_um: float) -> None:
    """Make sure that light of this wavelength in µm can have made an image.

    Raises
    ------
    ImageError
        If it cannot, as where nm were taken for µm.
    """
    if not is_light(wavelength_um):
        raise ImageError(
            f"A wavelength of {wavelength_um:g} µm ({wavelength_um * 1000:g} nm) is impossible; "
            f"give that of light, {SHORTEST_UM:g} to {LONGEST_UM:g} µm ({SHORTEST_UM * 1000:g} to "
            f"{LONGEST_UM * 1000:g} nm)."
        )


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
    lenses = [
        lens
        for lens in root.iterfind("{*}Instrument/{*}Objective")
        if wanted in (None, lens.get("ID"))
    ]
    if len(lenses) != 1:
        return None
    waves = [
        wave
        for channel in image.iterfind("{*}Pixels/{*}Channel")
        if (wave := _wavelength_um(channel))
    ]
    lens = lenses[0]
    return told_objective(
        lens.get("LensNA"), waves, lens.get("NominalMagnification"), lens.get("Immersion")
    )


def told_objective(
    aperture: object,
    wavelengths_um: Iterable[object] = (),
    magnification: object = None,
    immersion: object = None,
) -> Objective | None:
    """An objective of what a file says, whatever that is: numbers, texts, nothing.

    Parameters
    ----------
    aperture : object
        The numerical aperture.
    wavelengths_um : iterable of object
        Those of the channels, in µm; what is no such is left out.
    magnification, immersion : object
        As in `Objective`.

    Returns
    -------
    Objective or None
        None where no numerical aperture is told that there can be.
    """
    number, enlarged = number_told(aperture), number_told(magnification)
    if not 0 < number <= LARGEST_NA:
        return None
    waves = [wave for each in wavelengths_um if is_light(wave := number_told(each))]
    medium = " ".join(immersion.split()) if isinstance(immersion, str) else ""
    return Objective(
        number, fmean(waves) if waves else None, enlarged if enlarged > 0 else None, medium
    )


def labelled_objective(label: object, wavelengths_um: Iterable[object] = ()) -> Objective | None:
    """What the name of an objective tells of it: "Plan-Apochromat 63x/1.40 Oil DIC M27".

    Parameters
    ----------
    label : object
        The name.
    wavelengths_um : iterable of object
        As in `told_objective`.
    """
    text = label if isinstance(label, str) else ""
    found, enlarged = NAMES_APERTURE.search(text), NAMES_MAGNIFICATION.search(text)
    medium = next(
        (name for name, words in IMMERSIONS.items() if re.search(words, text, re.IGNORECASE)), ""
    )
    aperture = found[1].replace(",", ".") if found else None
    return told_objective(
        aperture, wavelengths_um, enlarged and enlarged[1].replace(",", "."), medium
    )


def medium_of(refractive_index: object) -> str:
    """What an objective is immersed in that has this refractive index; empty where that is none of
    the usual.
    """
    index = number_told(refractive_index)
    return next((name for name, (low, high) in REFRACTIVE.items() if low <= index <= high), "")


def zarr_objective(path: Path) -> Objective | None:
    """What is known of the objective of an image in a collection as bioformats2raw writes it: its
    OME-XML lies beside.

    OME-Zarr itself has no place for it.

    Parameters
    ----------
    path : Path
        Folder of the image, right within that of the collection.
    """
    folder = path.absolute().parent / "OME"
    try:
        root = ElementTree.fromstring((folder / "METADATA.ome.xml").read_bytes())
    except (OSError, ElementTree.ParseError, LookupError, ValueError):  # or an unknown encoding
        return None
    images, names = root.findall("{*}Image"), _series(folder)
    number = (
        names.index(path.name)
        if path.name in names
        else int(path.name)
        if path.name.isdecimal()
        else -1
    )
    return ome_objective(root, images[number]) if 0 <= number < len(images) else None


def _series(folder: Path) -> list[str]:
    """The folders of a collection's images in the order of its OME-XML, if it says so."""
    for name, own in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            found = json.loads((folder / name).read_bytes())
            found = found[own] if own else found
            names = found.get("ome", found)["series"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if isinstance(names, list):
            return [str(each) for each in names]
    return []


def named_objective(properties: Mapping[str, Any]) -> Objective | None:
    """What the properties that Micro-Manager keeps with a plane say: the label of the objective,
    where it tells the aperture.

    Parameters
    ----------
    properties : mapping
        Such as {"TINosePiece-Label": "1-Plan Apo 20x/0.75"}; a value may also be a mapping with the
        value under "PropVal".

    Returns
    -------
    Objective or None
        None where no label tells it, or labels tell different ones.
    """
    found = set()
    for name, value in properties.items():
        device, _, which = str(name).rpartition("-")
        text = value.get("PropVal") if isinstance(value, Mapping) else value
        if (
            which == "Label"
            and any(holder in device.lower() for holder in HOLDERS)
            and isinstance(text, str)
        ):
            told = NAMES_APERTURE.search(text)
            found.add(number_told(told[1].replace(",", ".")) if told else math.nan)
    aperture = found.pop() if len(found) == 1 else math.nan
    return Objective(aperture) if 0 < aperture <= LARGEST_NA else None


def _wavelength_um(channel: Element) -> float | None:
    for kind in ("Emission", "Excitation"):
        unit = unit_of_length(channel.get(f"{kind}WavelengthUnit", "nm"))
        length = number_told(channel.get(f"{kind}Wavelength")) * MICROMETRES.get(
            unit or "", math.nan
        )
        if length > 0:
            return length
    return None


def number_told(text: object) -> float:
    """What a text or a number says; not a number where it says none that is finite."""
    try:
        value = float(text) if isinstance(text, str | int | float) else math.nan
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
