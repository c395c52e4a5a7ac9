"""Keys of the viewer that act on the widget as long as it lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakMethod, ref

if TYPE_CHECKING:
    from napari import Viewer


@dataclass(eq=False)
class _Taken:
    """What one key of one viewer does.

    Attributes
    ----------
    before : callable, Ellipsis or None
        What it did before any widget took it.
    methods : list of WeakMethod
        Of the widgets that took it, the last one at the end.
    """

    before: Any
    methods: list[WeakMethod[Callable[[], None]]] = field(default_factory=list)


_TAKEN: WeakKeyDictionary[Any, _Taken] = WeakKeyDictionary()


def bind_key(viewer: Viewer, key: str, method: Callable[[], None]) -> None:
    """Call `method`, bound to an object that the viewer does not keep alive, when `key` is pressed.

    With several of them, that of the widget that came last is called. Once all have gone, the key
    means again what it did before.
    """
    bound = viewer.bind_key(key, None)
    function = bound if _taken(bound) is not None else _function(bound)
    viewer.bind_key(key, function)
    taken, window = (
        _TAKEN[function],
        ref(getattr(viewer, "__wrapped__", viewer)),
    )  # a plugin gets a proxy of its own

    def gone(reference: WeakMethod[Callable[[], None]]) -> None:
        if reference in taken.methods:
            taken.methods.remove(reference)
        if not taken.methods and (there := window()) is not None:
            _put_back(there, key)

    taken.methods.append(WeakMethod(method, gone))


def release_key(viewer: Viewer, key: str, method: Callable[[], None]) -> None:
    """Let `key` mean again what it did before `bind_key` was called with this method; what others
    have bound stays.
    """
    taken = _taken(_bound(viewer, key))
    if taken is not None:
        taken.methods = [each for each in taken.methods if each() not in (method, None)]
        if not taken.methods:
            _put_back(viewer, key)


def _function(before: Any) -> Callable[[Viewer], None]:
    """What napari is given: a function, for it asks every binding for its `__name__`, and acts by
    that name.
    """

    def mdeblurgan_take_key(_: Viewer) -> None:
        for reference in reversed(_TAKEN[mdeblurgan_take_key].methods):
            if (method := reference()) is not None:
                method()
                return

    _TAKEN[mdeblurgan_take_key] = _Taken(before)
    return mdeblurgan_take_key


def _taken(bound: Any) -> _Taken | None:
    return _TAKEN.get(bound) if isinstance(bound, FunctionType) else None


def _bound(viewer: Viewer, key: str) -> Any:
    """What a key does; napari tells that only of what it takes away."""
    bound = viewer.bind_key(key, None)
    if bound is not None:
        viewer.bind_key(key, bound)
    return bound


def _put_back(viewer: Viewer, key: str) -> None:
    taken = _taken(_bound(viewer, key))
    if taken is not None and not taken.methods:
        viewer.bind_key(key, None)
        if taken.before is not None:
            viewer.bind_key(key, taken.before)
