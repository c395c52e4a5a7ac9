"""Which layers are selected stays as it was while layers are added."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari import Viewer


@contextmanager
def kept_selection(viewer: Viewer) -> Iterator[None]:
    """Select afterwards what was selected before, as far as it is still there."""
    selection = viewer.layers.selection
    selected, active = set(selection), selection.active
    yield
    remaining = {layer for layer in selected if layer in viewer.layers}
    if remaining or not selected:
        viewer.layers.selection = remaining
        if active in remaining:
            viewer.layers.selection.active = active
