"""Which layers this program has made: in this session, as their metadata tell, or earlier, by the
mark in their files.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_mdeblurgan.folders import folder_there

if TYPE_CHECKING:
    from napari.layers import Layer

READING_PATIENCE_S = 0.2  # a mark is read in milliseconds, but for shares that do not answer


class Marks(QObject):
    """Reads the marks in the files of layers, once for each layer, on threads of their own.

    `found` is emitted where a mark was read too late for those who asked for it.
    """

    found = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._readings: WeakKeyDictionary[Layer, _Reading] = WeakKeyDictionary()

    def of(self, layer: Layer, *, wait: bool) -> bool:
        """Whether the layer's file has the mark; False as long as that is not known, unless it is
        waited for.
        """
        if not layer.source.path:
            return False
        reading = self._readings.get(layer)
        if reading is None:
            reading = self._readings[layer] = _Reading(layer.source.path, self)
            reading.thread.start()
            reading.thread.join(READING_PATIENCE_S)
            reading.late = reading.thread.is_alive()
        if wait:
            reading.thread.join()
        return reading.marked


class _Reading:
    """The reading of one mark."""

    def __init__(self, path: str, marks: Marks) -> None:
        self.marked, self.late = False, False
        self._path, self._marks = path, marks
        self.thread = threading.Thread(target=self._read, daemon=True, name="mark of a result")

    def _read(self) -> None:
        try:
            path = Path(self._path)
            self.marked = _is_result_file(path, path.stat().st_mtime_ns)
        except (OSError, ValueError):  # an address, or a file that has gone
            return
        if self.marked and self.late:
            try:
                self._marks.found.emit()
            except RuntimeError:  # Qt has deleted the object already: the application ends
                return


marks = Marks()


def is_map(layer: Layer) -> bool:
    """Whether a layer is a map of an assessment, which nobody would restore."""
    made = layer.metadata.get("mdeblurgan")
    return isinstance(made, dict) and "map" in made


def is_result_layer(layer: Layer, *, wait: bool = False) -> bool:
    """Whether a layer is a result of this program, made in this session or opened from a file that
    it has written.

    Parameters
    ----------
    layer : Layer
        Of any kind. A map that was made in this session is no result; nor is an image that was put
        together of the planes of a focus stack, which has no values but theirs, unless they are
        results.
    wait : bool
        Whether to wait for a file that is slow to answer; else a layer of such a file is none until
        `marks.found` is emitted.
    """
    made = layer.metadata.get("mdeblurgan")
    if isinstance(made, dict):
        focus = _focus(layer)
        return "map" not in made if focus is None else bool(focus.get("restored"))
    return marks.of(layer, wait=wait)


def is_ours(layer: Layer, *, wait: bool = False) -> bool:
    """Whether a layer is a result or a map of this program, and so no truth to learn from; see
    `is_result_layer`.
    """
    return is_map(layer) or is_result_layer(layer, wait=wait)


def file_of(layer: Layer) -> str | None:
    """The file that a layer was opened from, or the focus stack that it was put together of."""
    focus = _focus(layer)
    file = layer.source.path if focus is None else focus.get("file")
    return file if isinstance(file, str) else None


def proposed_place(name: str, *layers: Layer | None) -> str:
    """What a dialog for saving proposes: a file's name, in the folder of the first of the layers
    that was opened from a file; the name alone where none was.
    """
    for layer in layers:
        file = None if layer is None else file_of(layer)
        if file and folder_there(Path(file).parent):
            return str(Path(file).parent / name)
    return name


def source_name_of(layer: Layer) -> str | None:
    """What the layer was called that a result, a map or an image of a focus stack was made from;
    None for all others.
    """
    made = layer.metadata.get("mdeblurgan")
    told = made if isinstance(made, dict) else {}
    name = (_focus(layer) or told).get("source")
    return name if isinstance(name, str) else None


def _focus(layer: Layer) -> dict[str, Any] | None:
    """What is known of an image that was put together of a focus stack; None
    for every other layer.
    """
    made = layer.metadata.get("mdeblurgan")
    focus = made.get("focus") if isinstance(made, dict) and "map" not in made else None
    return focus if isinstance(focus, dict) else None


@lru_cache(maxsize=256)
def _is_result_file(path: Path, _changed_ns: int) -> bool:
    """A file is looked at once, as long as it does not change."""
    from napari_mdeblurgan.storage import provenance

    return provenance.is_result(path)
