"""What the tags of a TIFF page say of the density of its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_mdeblurgan.storage.geometry import (
    MICROMETRES,
    AxisStep,
    Geometry,
    proportions,
    size_from_density,
)

if TYPE_CHECKING:
    from tifffile import TiffPage

NO_UNIT, INCH, CENTIMETRE = 1, 2, 3  # values of the tag ResolutionUnit
# the last two are of no standard, but written by tifffile
LENGTHS = {INCH: "in", CENTIMETRE: "cm", 4: "mm", 5: "µm"}


def sizes_in_tags(page: TiffPage) -> Geometry:
    """Sizes of pixels, where the density can be that of pixels on the object; without a unit, their
    proportions.
    """
    unit = page.tags.valueof("ResolutionUnit", INCH)
    densities = {axis: density_of(page, axis) for axis in "XY"}
    if unit not in LENGTHS:
        return proportions(densities) if unit == NO_UNIT else Geometry()
    per_inch = MICROMETRES["in"] / MICROMETRES[LENGTHS[unit]]
    steps = {}
    for axis, density in densities.items():
        size = size_from_density(density * per_inch)
        if size is None:
            return Geometry()
        steps[axis] = AxisStep(size, "µm")
    return Geometry.of(steps)


def density_of(page: TiffPage, axis: str) -> float:
    """Pixels for a unit along X or Y; not a number where the tag is missing or garbled."""
    value = page.tags.valueof(f"{axis}Resolution")
    try:
        numerator, denominator = value
        return numerator / denominator
    except (TypeError, ValueError, ZeroDivisionError):
        return float("nan")
