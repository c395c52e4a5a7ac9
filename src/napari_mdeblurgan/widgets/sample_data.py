"""File → Open Sample: the micrographs that come with the package, as napari layers."""

from __future__ import annotations

from typing import Any

from napari_mdeblurgan.samples import SAMPLES, attribution, sample_path
from napari_mdeblurgan.storage import read_image

LayerData = tuple[Any, dict[str, Any], str]


def open_brightfield() -> list[LayerData]:
    """Open the colour micrograph."""
    return _open(rgb=True)


def open_fluorescence() -> list[LayerData]:
    """Open the grey micrograph."""
    return _open(rgb=False)


def _open(*, rgb: bool) -> list[LayerData]:
    """Read the first sample of a kind; a pixel size is given only where the file knows one."""
    name, sample = next((name, sample) for name, sample in SAMPLES.items() if sample.rgb == rgb)
    micrograph = read_image(sample_path(name))
    arguments: dict[str, Any] = {
        "name": name,
        "rgb": rgb,
        "metadata": {"description": sample.description, "attribution": attribution(name)},
    }
    axes = micrograph.axes.removesuffix("S") if rgb else micrograph.axes
    if micrograph.unit and all(axis in micrograph.pixel_size for axis in axes):
        arguments["scale"] = tuple(micrograph.pixel_size[axis] for axis in axes)
        arguments["units"] = (micrograph.unit,) * len(axes)
    return [(micrograph.data, arguments, "image")]
