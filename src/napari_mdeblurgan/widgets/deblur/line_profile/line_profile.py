"""The button **Line profile** and its dock: before and after along a line on the canvas, while the
line is moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import PushButton
from qtpy.QtCore import QObject, QPoint, QTimer

from napari_mdeblurgan.errors import ImageError, MdeblurganError
from napari_mdeblurgan.storage.geometry import unit_of_length
from napari_mdeblurgan.widgets.deblur.compare.arrangement import LayerPair
from napari_mdeblurgan.widgets.deblur.line_profile.lines import (
    LINES_NAME,
    ShapesLine,
    line_meant,
    own_line,
)
from napari_mdeblurgan.widgets.deblur.line_profile.sampling import Line, Profile, Track, measured
from napari_mdeblurgan.widgets.deblur.map_layers import maps_there
from napari_mdeblurgan.widgets.layers import view
from napari_mdeblurgan.widgets.layers.axes import arranged, order_of
from napari_mdeblurgan.widgets.runs.trust import KNOWN_TRUST
from napari_mdeblurgan.widgets.shared.closing import InWords, LifeWatch, worker_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

    from napari_mdeblurgan.widgets.deblur.line_profile.plot import ProfilePlot

_SOON_MS = 30
FLOATING = 620, 260  # pixels
NO_LINE = "Draw a line in a Shapes layer, or press Line profile."
_NO_RESULT = "There is no result to be compared."


class LineProfile(QObject):
    """Lives on the main thread; its dock is there from the first press until somebody closes it.

    Parameters
    ----------
    viewer : Viewer
    button : PushButton
        Which opens the dock.
    pairs : callable
        Gives the sources that are meant, with their results.
    """

    def __init__(
        self, viewer: Viewer, button: PushButton, pairs: Callable[[], Sequence[LayerPair]]
    ) -> None:
        super().__init__()
        self._viewer, self._button, self._pairs = viewer, button, pairs
        self.plot: ProfilePlot | None = None
        self._line: ShapesLine | None = None
        self._asked: tuple[list[Track], float, str] | None = None
        self._busy = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._draw)
        button.changed.connect(self.press)

    # ---- opened and closed

    def press(self) -> None:
        """Open the dock, with the line that is selected, or the last one, or a new one."""
        pairs = self._pairs()
        if not pairs:
            return
        active = self._viewer.layers.selection.active
        self._line = line_meant(active) or self._line
        if self._line is None or self._line.ends(self._viewer) is None:
            self._line = line_meant(own_line(self._viewer, pairs[0][0]))
        if self.plot is None:
            from napari_mdeblurgan.widgets.deblur.line_profile.plot import (
                ProfilePlot,  # pyqtgraph takes a while to load
            )

            self.plot = ProfilePlot()
            self._watch = LifeWatch(
                self.plot, lambda: None, self._on_close
            )  # sees how it is docked
            self._dock(self.plot)
            self._viewer.layers.events.connect(self._on_change)
            self._viewer.layers.selection.events.connect(self._on_change)
            self._viewer.dims.events.connect(self._on_change)
        self.plot.show()
        self._on_change()

    def _dock(self, plot: ProfilePlot) -> None:
        """Dock it below the image; where the screen is too low for that, as at 200 % on many, as a
        window of its own.
        """
        dock = self._viewer.window.add_dock_widget(plot, name=LINES_NAME, area="bottom")
        window = dock.parentWidget()
        screen = None if window is None else window.screen()
        if screen is None or window is None:
            return
        needed = window.minimumSizeHint().height() + plot.minimumSizeHint().height()
        if needed > screen.availableGeometry().height():
            dock.setFloating(True)
            dock.resize(*FLOATING)
            corner = window.mapToGlobal(window.rect().bottomLeft())
            dock.move(corner - QPoint(0, dock.height()))  # off the menu and the tools for lines

    def follow(self) -> None:
        """Bring it in line with what is chosen."""
        self._button.enabled = bool(self._pairs())
        self._on_change()

    def close(self) -> None:
        """Close the dock, if it is open."""
        plot = self.plot
        if plot is not None:
            self._on_close()
            with suppress(
                AttributeError, LookupError, RuntimeError
            ):  # the window itself is being closed
                self._viewer.window.remove_dock_widget(plot)

    def _on_close(self) -> None:
        plot, self.plot = self.plot, None
        if plot is not None:
            self._soon.stop()
            self._viewer.layers.events.disconnect(self._on_change)
            self._viewer.layers.selection.events.disconnect(self._on_change)
            self._viewer.dims.events.disconnect(self._on_change)
            with suppress(RuntimeError):  # the window has been closed, and Qt has deleted it
                plot.deleteLater()

    # ---- drawn

    def _on_change(self, _: Any = None) -> None:
        """Something has changed that may show in the plot: a line, an image, the plane."""
        if self.plot is not None and not self._soon.isActive():
            self._soon.start(_SOON_MS)

    def _draw(self) -> None:
        if self.plot is None:
            return
        self._line = line_meant(self._viewer.layers.selection.active) or self._line
        ends = None if self._line is None else self._line.ends(self._viewer)
        pairs = self._pairs()
        if ends is None or not pairs:
            self.plot.say(NO_LINE if ends is None else _NO_RESULT)
            return
        try:
            tracks = [self._track(source, result, ends) for source, result in pairs]
            first = pairs[0][0]
            length, unit = length_of(
                first, ends[:, -first.ndim :] / view.in_units_of_the_viewer(first, self._viewer)
            )
        except ImageError as error:
            self.plot.say(str(error))
            return
        self._ask(tracks, length, f"distance, {unit}")

    def _track(self, source: Image, result: Image, ends: np.ndarray) -> Track:
        after = self._line_across(result, ends)
        trusted = KNOWN_TRUST.get(result)
        error: Line | None = None
        calibrated = trusted is None or trusted.assessment.calibrated
        if trusted is not None:
            made = next((each for each in trusted.assessment.maps if each.name == "error"), None)
            error = (
                None
                if made is None
                else Line((made.data, *made.coarser), False, after.plane, after.ends)
            )
        elif (layer := maps_there(self._viewer, result, None).get("error")) is not None:
            error = self._line_across(layer, ends)
        return Track(source.name, self._line_across(source, ends), after, error, calibrated)

    def _line_across(self, layer: Any, ends: np.ndarray) -> Line:
        view.check_plane_shown(layer, self._viewer, "The line profile")
        order = order_of(layer.axis_labels)
        own = ends[:, -layer.ndim :] / view.in_units_of_the_viewer(layer, self._viewer)
        places = np.array([layer.world_to_data(point) for point in own])
        levels = tuple(
            arranged(level, order) for level in (layer.data if layer.multiscale else (layer.data,))
        )
        plane = view.current_slice(layer, self._viewer)
        return Line(levels, bool(getattr(layer, "rgb", False)), plane, places[:, list(order[-2:])])

    # ---- read, on a thread where it takes long

    def _ask(self, tracks: list[Track], length: float, distance: str) -> None:
        if all(track.in_memory for track in tracks):
            self._asked = None
            self._show(measured(tracks), length, distance, tracks)
            return
        self._asked = tracks, length, distance
        if not self._busy:
            self._read()

    def _read(self) -> None:
        if self._asked is None:
            return
        (tracks, length, distance), self._asked = self._asked, None
        self._busy = True
        work = InWords(measured, "the reading of a line profile")
        worker = worker_of(self._viewer, work, tracks, _connect={"errored": self._tell})
        worker.returned.connect(lambda found: self._show(found, length, distance, tracks))
        worker.finished.connect(self._on_read)
        worker.start()

    def _on_read(self) -> None:
        self._busy = False
        self._read()

    def _tell(self, error: Exception) -> None:
        """Say why a line was not read."""
        words = (
            str(error)
            if isinstance(error, MdeblurganError)
            else f"The line could not be read ({error!r})."
        )
        if self.plot is not None:
            self.plot.say(words)

    def _show(
        self, found: list[Profile], length: float, distance: str, tracks: list[Track]
    ) -> None:
        if self.plot is not None:
            self.plot.show_profiles(found, length, distance, colours=tracks[0].before.rgb)


def length_of(layer: Image, ends: np.ndarray) -> tuple[float, str]:
    """How long a line is, and in what unit: in pixels of the layer, where it tells no unit of
    length.

    Parameters
    ----------
    layer : Image
    ends : ndarray
        (2, ndim): both ends in world coordinates of the layer.
    """
    y, x = order_of(layer.axis_labels)[-2:]
    names = {f"{layer.units[axis]:~}" for axis in (y, x)}
    unit = names.pop() if len(names) == 1 else ""
    if unit in ("", "px", "pixel"):
        pixels = np.array([layer.world_to_data(point) for point in ends])[:, [y, x]]
        return float(np.hypot(*(pixels[1] - pixels[0]))), "pixels"
    return float(np.hypot(*(ends[1] - ends[0])[[y, x]])), unit_of_length(unit) or unit
