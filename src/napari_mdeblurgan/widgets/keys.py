"""Keys of the viewer that act on the widget as long as it lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakMethod

if TYPE_CHECKING:
    from napari import Viewer


def bind_key(viewer: Viewer, key: str, method: Callable[[], None]) -> None:
    """Call `method`, bound to an object that the viewer does not keep alive, when `key` is pressed."""
    reference = WeakMethod(method)

    def act(_: object) -> None:
        alive = reference()
        if alive is not None:
            alive()

    viewer.bind_key(key, act, overwrite=True)


def release_key(viewer: Viewer, key: str) -> None:
    """Let `key` mean nothing again."""
    viewer.bind_key(key, None)
