"""What is known of the optics that an image was taken with: from its layer, its file, and the user.
No Qt in here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.folders import anything_there
from napari_mdeblurgan.restoration.jpeg import jpeg_softness
from napari_mdeblurgan.restoration.output_scale import softness_at
from napari_mdeblurgan.restoration.read_in_turn import read_in_turn
from napari_mdeblurgan.restoration.softness import AUTO, COMPRESSED, Softness, chosen_softness
from napari_mdeblurgan.storage.geometry import MICROMETRES, unit_of_length
from napari_mdeblurgan.storage.objective import LARGEST_NA, Objective, is_light

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.widgets.layers.placement import Placement
    from napari_mdeblurgan.widgets.runs.job import Job


@dataclass(frozen=True, slots=True)
class Microscope:
    """The user's own microscope, in the user's words: texts as they are kept, empty where nothing
    was said.

    Attributes
    ----------
    magnification : str
        Of the objective, and of what lies between it and the camera.
    numerical_aperture : str
        Of the objective.
    wavelength_nm : str
        Of the light that reaches the camera.
    camera_pixel_um : str
        Edge of a pixel of the camera.
    """

    magnification: str = ""
    numerical_aperture: str = ""
    wavelength_nm: str = ""
    camera_pixel_um: str = ""

    @property
    def objective(self) -> Objective | None:
        """Aperture and wavelength; None without an aperture."""
        aperture = _number(self.numerical_aperture)
        return (
            Objective(aperture, self.wavelength_um) if aperture and aperture <= LARGEST_NA else None
        )

    @property
    def wavelength_um(self) -> float | None:
        """In µm; None where none is said, or none of light."""
        wavelength = (_number(self.wavelength_nm) or 0) / 1000
        return wavelength if is_light(wavelength) else None

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of the camera's pixel in the specimen."""
        edge, magnification = _number(self.camera_pixel_um), _number(self.magnification)
        return edge / magnification if edge and magnification else None


@dataclass(frozen=True, slots=True)
class KnownOptics:
    """What an image tells of them.

    Attributes
    ----------
    objective : Objective or None
        As its file has it.
    pixel_size_um : float or None
        Edge of a pixel in the specimen: of the layer where its units are lengths, else of its file.
    binning : int
        By how many pixels along y and x the camera's were averaged before the image was restored.
    compressed : float
        How soft its result is at least because it was compressed, see `jpeg_softness`.
    """

    objective: Objective | None = None
    pixel_size_um: float | None = None
    binning: int = 1
    compressed: float = 0.0


class ResultSoftness(NamedTuple):
    """How soft a result is to be, what its image tells of the optics, and how soft the model makes
    it where nobody knows of them.
    """

    optics: KnownOptics
    unknown: float | Softness
    softness: Softness


def result_softness(job: Job, card: ModelCard, image: Any) -> ResultSoftness:
    """Of the result of a job by the model of that card; `image` is what is restored, of which a few
    places are looked at.
    """
    factor = job.factor(card)
    unknown = softness_at(card, factor, job.binning)
    learned = isinstance(unknown, Softness)  # whatever the image
    compressed = 0.0 if learned else jpeg_softness(read_in_turn(image), factor, rgb=job.rgb)
    optics = replace(optics_of(job.placement, job.file, job.binning), compressed=compressed)
    return ResultSoftness(optics, unknown, known_softness(optics, job.microscope, unknown))


def optics_of(placement: Placement, path: str | None, binning: int = 1) -> KnownOptics:
    """What the layer and its file tell; of a file that cannot be read, nothing.

    Parameters
    ----------
    placement : Placement
        Of the layer, or of its averaged image.
    path : str or None
        The file that the layer was opened from.
    binning : int
        By how many pixels the image was averaged.
    """
    from napari_mdeblurgan.storage import open_image

    told = None
    if path and anything_there(path):
        try:
            told = open_image(Path(path))
        except (MdeblurganError, OSError):  # another reader of napari's may have opened it
            told = None
    pixel = layer_pixel_um(
        placement.scale[placement.order[-1]], placement.units[placement.order[-1]]
    )
    if told is None:
        return KnownOptics(None, pixel, binning)
    return KnownOptics(told.objective, pixel or _times(told.pixel_size_um, binning), binning)


def layer_pixel_um(scale: float, unit: object) -> float | None:
    """A layer's size of pixels along an axis, in µm; None where its unit is no length."""
    length = unit_of_length(f"{unit:~}" if unit is not None else None)
    size = abs(float(scale)) * MICROMETRES.get(length or "", math.nan)
    return size if math.isfinite(size) and size > 0 else None


def known_softness(
    optics: KnownOptics, microscope: Microscope, unknown: float | Softness
) -> Softness:
    """How soft a result is to be by what the image tells, else by what the user says, else
    `unknown`, the model's own.
    """
    objective = optics.objective or microscope.objective
    if objective is not None and objective.wavelength_um is None:
        objective = replace(objective, wavelength_um=microscope.wavelength_um)
    pixel = optics.pixel_size_um or _times(microscope.pixel_size_um, optics.binning)
    found = chosen_softness(AUTO, objective, pixel, unknown, optics.compressed)
    learned = isinstance(unknown, Softness)
    users = (
        not learned
        and found.reason != COMPRESSED
        and objective is not None
        and optics.objective is None
        and pixel is not None
    )
    return replace(found, reason=f"your microscope: {found.reason}") if users else found


def _times(size: float | None, binning: int) -> float | None:
    return size * binning if size else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
