"""Which networks there are: one line for each, and one file of its own, with a subclass of
`Network`.
"""

from __future__ import annotations

import inspect
from typing import Any

from napari_mdeblurgan.network.generator import Generator
from napari_mdeblurgan.network.network import Network
from napari_mdeblurgan.network.unet import UNetSuperResolution

_networks: dict[str, type[Network]] = {kind.name: kind for kind in (Generator, UNetSuperResolution)}


def register(kind: type[Network]) -> None:
    """Know a further network from now on: models of it are loaded, restore, and are trained,
    fine-tuned and compared.

    Raises
    ------
    ValueError
        If another network has its name.
    """
    if kind.name in _networks:
        raise ValueError(f"A network is called {kind.name} already.")
    _networks[kind.name] = kind


def unregister(kind: type[Network]) -> None:
    """Know a network no more that was registered."""
    del _networks[kind.name]


def known_network(name: str) -> str:
    """The name of a network.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in _networks:
        raise ValueError(f"must be one of {', '.join(_networks)}")
    return name


def parameters_of(name: str) -> frozenset[str]:
    """The keywords that a network is made from."""
    return frozenset(inspect.signature(_networks[name]).parameters)


def build_generator(architecture: dict[str, Any]) -> Network:
    """Make an untrained network of the shape that its property `architecture` describes.

    Raises
    ------
    ValueError
        If the description names an unknown network or has unknown or unfit parameters.
    """
    parameters = dict(architecture)
    name = parameters.pop("name", None)
    if name not in _networks:
        raise ValueError(f"unknown network {name!r}")
    try:
        return _networks[name](**parameters)
    except TypeError as error:
        raise ValueError(f"unfit network parameters: {error}") from error
