"""The planes that a layer is cut along and clipped by in 3-D, which stay where they are when it is
followed by one of other pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_mdeblurgan.widgets.layers.placement import Placement

_SHOWN = 3  # axes: the last ones, in whose pixels napari has planes


@dataclass(frozen=True, slots=True)
class Cuts:
    """Planes in the pixels of a layer.

    Attributes
    ----------
    place : Placement
        Of that layer.
    plane : mapping
        The one that is shown alone where `depiction` is "plane".
    clipping : tuple of mapping
        Those that hide what lies behind them.
    """

    place: Placement
    plane: Mapping[str, Any]
    clipping: tuple[Mapping[str, Any], ...]

    def arguments(self, place: Placement) -> dict[str, Any]:
        """The same planes in the pixels of another layer, as keywords of `Image`."""
        if len(place.scale) < _SHOWN:
            return {}
        return {
            "plane": self._moved(self.plane, place),
            "experimental_clipping_planes": [self._moved(each, place) for each in self.clipping],
        }

    def _moved(self, plane: Mapping[str, Any], place: Placement) -> dict[str, Any]:
        here, there = self.place.linear, place.linear
        before = (0,) * (len(place.scale) - _SHOWN)
        shift = self.place.translate - place.translate
        point = np.linalg.solve(there, here @ [*before, *plane["position"]] + shift)
        normal = there.T @ np.linalg.solve(here.T, [*before, *plane["normal"]])
        length = float(np.linalg.norm(normal))
        moved = {
            **plane,
            "position": tuple(point[-_SHOWN:].tolist()),
            "normal": tuple((normal[-_SHOWN:] / length).tolist()),
        }
        if "thickness" in plane:
            moved["thickness"] = plane["thickness"] / length
        return moved


def cuts_of(layer: Image, place: Placement) -> Cuts:
    """Copy the planes of `layer`, which lies at `place`."""
    clipping = tuple(each.model_dump() for each in layer.experimental_clipping_planes)
    return Cuts(place, layer.plane.model_dump(), clipping)
