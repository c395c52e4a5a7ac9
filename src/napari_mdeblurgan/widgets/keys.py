"""Keys of the viewer that act on the widget as long as it lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

if TYPE_CHECKING:
    from napari import Viewer


class _Key:
    """What a key does: the method of the widget that took it last and is still there. `before` is what it did without any."""

    def __init__(self, before: Callable[..., Any] | None) -> None:
        self.before = before
        self.methods: list[WeakMethod[Callable[[], None]]] = []

    def __call__(self, _: Viewer) -> None:
        for reference in reversed(self.methods):
            if (method := reference()) is not None:
                method()
                return


def bind_key(viewer: Viewer, key: str, method: Callable[[], None]) -> None:
    """Call `method`, bound to an object that the viewer does not keep alive, when `key` is pressed."""
    bound = viewer.bind_key(key, None)
    taken = bound if isinstance(bound, _Key) else _Key(bound)
    taken.methods.append(WeakMethod(method))
    viewer.bind_key(key, taken)


def release_key(viewer: Viewer, key: str, method: Callable[[], None]) -> None:
    """Let `key` mean again what it did before `bind_key` was called with this method; what others have bound stays."""
    bound = viewer.bind_key(key, None)
    if isinstance(bound, _Key):
        bound.methods = [reference for reference in bound.methods if reference() not in (method, None)]
        bound = bound if bound.methods else bound.before
    viewer.bind_key(key, bound)
