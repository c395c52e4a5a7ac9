"""Which networks there are, by the name that a model's card gives its architecture."""

from __future__ import annotations

from typing import Any

from napari_mdeblurgan.network.generator import Generator
from napari_mdeblurgan.network.unet import UNetSuperResolution

Network = Generator | UNetSuperResolution

NETWORKS: dict[str, type[Generator] | type[UNetSuperResolution]] = {
    "m-deblurgan": Generator,
    "unet-sr": UNetSuperResolution,
}


def build_generator(architecture: dict[str, Any]) -> Network:
    """Make an untrained network of the shape that its property `architecture` describes.

    Raises
    ------
    ValueError
        If the description names an unknown network or has unknown or unfit parameters.
    """
    parameters = dict(architecture)
    name = parameters.pop("name", None)
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}")
    try:
        return NETWORKS[name](**parameters)
    except TypeError as error:
        raise ValueError(f"unfit network parameters: {error}") from error
