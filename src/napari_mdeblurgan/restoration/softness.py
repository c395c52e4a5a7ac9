"""How soft a result is to be: as sharp as an objective of that magnification is, and no sharper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from napari_mdeblurgan.errors import ImageError, in_code
from napari_mdeblurgan.gaussian import AIRY_SIGMA, gaussian_radius
from napari_mdeblurgan.model_card import SOFTEST
from napari_mdeblurgan.storage.objective import Objective

AUTO = "auto"
GREEN_UM = 0.55  # light where no wavelength is told: the middle of what eyes and cameras see


@dataclass(frozen=True, slots=True)
class Softness:
    """How soft a result is to be.

    Attributes
    ----------
    sigma : float
        Standard deviation of the Gaussian closest to the point-spread function, in pixels of the
        result; 0 for a result as the network gives it.
    reason : str
        How that is known, such as "given" or "objective of NA 0.5, 0.53 µm".
    """

    sigma: float
    reason: str

    def __str__(self) -> str:
        return f"softness {self.sigma:.2g} px ({self.reason})"


BARE = Softness(0.0, "given")
LEARNED = "learned from pairs"
COMPRESSED = "JPEG-compressed"


def chosen_softness(
    wanted: float | str | Softness,
    objective: Objective | None = None,
    pixel_size_um: float | None = None,
    unknown: float | Softness = 0.0,
    compressed: float = 0.0,
) -> Softness:
    """Settle what "auto" means for an image.

    The result is to look as if an objective of as many times the magnification and the numerical
    aperture had taken it as it has times the pixels. In pixels of the result that is 0.21 λ / (NA ·
    pixel size), with NA and pixel size of the image.

    Parameters
    ----------
    wanted : float, "auto" or Softness
        Standard deviation in pixels of the result; or what was settled before.
    objective : Objective or None
        What the image was taken with; without a wavelength, light of 0.55 µm.
    pixel_size_um : float or None
        Edge of a pixel of the image in the specimen, in µm.
    unknown : float or Softness
        What "auto" means where the objective or the pixel size is not known: that of the model's
        card. A `Softness` is what it means in any case: a model that was fine-tuned has learned it.
    compressed : float
        What "auto" means at least, in pixels of the result, because the image was compressed; see
        `jpeg_softness`.

    Raises
    ------
    ImageError
        If that is no softness.
    """
    if isinstance(wanted, Softness):
        return wanted
    if isinstance(wanted, Real) and not isinstance(wanted, bool) and 0 <= float(wanted) <= SOFTEST:
        return Softness(float(wanted), "given")
    if not isinstance(wanted, str) or wanted != AUTO:
        raise ImageError(
            f"The softness is {in_code(wanted)}; give 0 to {SOFTEST:g} pixels of the result, or "
            "auto for what follows from the objective."
        )
    if isinstance(unknown, Softness):
        return unknown
    found = _by_optics(objective, pixel_size_um, unknown)
    return found if found.sigma >= compressed else Softness(round(compressed, 3), COMPRESSED)


def _by_optics(
    objective: Objective | None, pixel_size_um: float | None, unknown: float
) -> Softness:
    if objective is None or pixel_size_um is None:
        lacking = "objective" if objective is None else "pixel size"
        return Softness(unknown, f"{lacking} not known")
    wavelength_um = objective.wavelength_um or GREEN_UM
    sigma = AIRY_SIGMA * wavelength_um / (objective.numerical_aperture * pixel_size_um)
    reason = (
        f"objective of NA {objective.numerical_aperture:.3g}, {wavelength_um:.3g} µm, pixels "
        f"of {pixel_size_um:.3g} µm"
    )
    return Softness(round(min(sigma, SOFTEST), 3), reason)


def softening_margin(sigma: float, factor: int) -> int:
    """Pixels of the image that a softened result looks farther than the bare one.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels of the result.
    factor : int
        Pixels of the result for one of the image, along y and x.
    """
    return math.ceil(gaussian_radius(sigma) / factor)
