"""What the metadata of a result's layer tell of how far it can be trusted. No Qt in here: napari's
readers and writers work where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def keeping_trust(made: Mapping[str, Any], trust: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """How a layer of this shape was made, with what was found of how far it can be trusted."""
    return {**made, "trust": trust, "assessed_values": math.prod(shape)}


def made_so(made: Mapping[str, Any], shape: tuple[int, ...]) -> Mapping[str, Any]:
    """How a layer of this shape was made. napari gives a projection of a result, or a plane, the
    metadata of the result: these are known by their shape, and what was found of the whole result
    is not told of them.
    """
    if made.get("assessed_values") in (None, math.prod(shape)):
        return made
    return {name: value for name, value in made.items() if name != "trust"}
