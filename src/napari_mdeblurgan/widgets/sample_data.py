"""File → Open Sample: the micrographs that come with the package, as napari layers."""

from __future__ import annotations

from typing import Any

from napari_mdeblurgan.samples import SAMPLES, attribution, sample_path
from napari_mdeblurgan.storage import read_image

LayerData = tuple[Any, dict[str, Any], str]


def open_brightfield() -> list[LayerData]:
    """Open the colour micrograph."""
    return _open("leaf_epidermis")


def open_fluorescence() -> list[LayerData]:
    """Open the grey micrograph that was blurred by computer."""
    return _open("nuclei")


def open_smear() -> list[LayerData]:
    """Open the grey micrograph that the microscope took out of focus."""
    return _open("smear")


def open_smear_stack() -> list[LayerData]:
    """Open the focus stack."""
    return _open("smear_stack")


def _open(name: str) -> list[LayerData]:
    """Read a sample; a pixel size is given only where the file knows one."""
    sample = SAMPLES[name]
    micrograph = read_image(sample_path(name))
    arguments: dict[str, Any] = {
        "name": name,
        "rgb": sample.rgb,
        "metadata": {"description": sample.description, "attribution": attribution(name)},
    }
    axes = micrograph.axes.removesuffix("S") if sample.rgb else micrograph.axes
    arguments["axis_labels"] = tuple(axes.lower())
    if micrograph.unit and all(axis in micrograph.pixel_size for axis in axes):
        arguments["scale"] = tuple(micrograph.pixel_size[axis] for axis in axes)
        arguments["units"] = (micrograph.unit,) * len(axes)
    return [(micrograph.data, arguments, "image")]
