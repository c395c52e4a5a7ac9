"""The plot of a line profile."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pyqtgraph
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_mdeblurgan.widgets.deblur.line_profile.sampling import Profile

_BEFORE = "#f0a830"
_AFTER = (
    "#4c9be8",
    "#009e73",
    "#cc79a7",
    "#d55e00",
    "#b8a500",
)  # by channel; told apart by all eyes, on dark and on light
BAND_ALPHA = 70
INTENSITY = "grey levels"
LEAST_HEIGHT, _HEIGHT = 115, 215  # pixels; on a low screen the docks beside it need most of it
_BELOW_LABEL = 6  # pyqtgraph lets the label of an axis hang out by so many pixels


class ProfilePlot(QWidget):
    """Intensity over distance: before, after, and the error bar as a band around after."""

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        self.plot = pyqtgraph.PlotWidget(background=None)  # that of the window, in any theme
        self.plot.setMinimumHeight(LEAST_HEIGHT)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.showGrid(x=True, y=True, alpha=0.15)
        self.plot.getPlotItem().layout.setContentsMargins(0, 0, 0, _BELOW_LABEL)
        for name in ("left", "bottom"):
            self.plot.getAxis(name).enableAutoSIPrefix(False)
        self.legend = QLabel("")
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        layout.addWidget(self.legend)
        layout.addWidget(self.plot, 1)
        self.message, self.labels = "", ("", "")
        self.profiles: list[Profile] = []
        self._write()

    def sizeHint(self) -> QSize:
        """See Qt."""
        return QSize(super().sizeHint().width(), _HEIGHT)

    def changeEvent(self, event: QEvent | None) -> None:
        """See Qt; another theme has another colour for what is written."""
        super().changeEvent(event)
        if (
            event is not None
            and event.type() == QEvent.Type.StyleChange
            and hasattr(self, "profiles")
        ):
            self._write()

    def say(self, message: str) -> None:
        """Show a sentence in place of curves."""
        self.show_profiles([], 1.0, "")
        self.message = message
        self._write()

    def show_profiles(
        self, profiles: Sequence[Profile], length: float, distance: str, *, colours: bool = False
    ) -> None:
        """Draw what was found.

        Parameters
        ----------
        profiles : sequence of Profile
            One of each channel.
        length : float
            Of the line.
        distance : str
            What the axis along it is called, with its unit.
        colours : bool
            Whether the values are means of red, green and blue.
        """
        self.message, self.profiles = "", list(profiles)
        self.labels = (distance, INTENSITY) if profiles else ("", "")
        self.plot.getPlotItem().clear()
        several = len(profiles) > 1
        for number, profile in enumerate(profiles):
            colour = _AFTER[number % len(_AFTER)]
            place = length * profile.share
            if np.isfinite(profile.error).any():
                self._band(place, profile, colour)
            style = Qt.PenStyle.DashLine if several else Qt.PenStyle.SolidLine
            pen = pyqtgraph.mkPen(colour if several else _BEFORE, width=1.6, style=style)
            self.plot.plot(place, profile.before, pen=pen, connect="finite")
            self.plot.plot(
                place, profile.after, pen=pyqtgraph.mkPen(colour, width=2), connect="finite"
            )
        self.legend.setText(_legend(profiles) + " &nbsp; mean of red, green and blue" * colours)
        self._write()

    def _band(self, place: np.ndarray, profile: Profile, colour: str) -> None:
        known = np.isfinite(profile.after) & np.isfinite(profile.error)
        none = pyqtgraph.mkPen(None)
        edges = [
            pyqtgraph.PlotCurveItem(
                place[known], (profile.after + sign * profile.error)[known], pen=none
            )
            for sign in (-1, 1)
        ]
        shade = QColor(colour)
        shade.setAlpha(BAND_ALPHA)
        for edge in edges:
            self.plot.addItem(edge)
        self.plot.addItem(pyqtgraph.FillBetweenItem(*edges, brush=pyqtgraph.mkBrush(shade)))

    def _write(self) -> None:
        """Title and axes in the colour of the theme's text."""
        colour = self.palette().color(self.foregroundRole())
        self.plot.setTitle(self.message or None, size="9pt", color=colour)
        for name, text in zip(("bottom", "left"), self.labels, strict=True):
            axis = self.plot.getAxis(name)
            axis.setTextPen(colour)
            axis.setLabel(text, color=colour.name())
            axis.setStyle(showValues=bool(self.profiles))


def _legend(profiles: Sequence[Profile]) -> str:
    """What is what, as HTML."""
    if not profiles:
        return ""
    bar = any(np.isfinite(profile.error).any() for profile in profiles)
    band = (
        "error bar"
        if all(profile.calibrated for profile in profiles)
        else "error bar (relative only)"
    )
    if len(profiles) == 1:
        return (
            f"{_sign(_BEFORE)} before &nbsp; {_sign(_AFTER[0])} after"
            + f" &nbsp; band: {band}" * bar
        )
    names = (
        f"{_sign(_AFTER[n % len(_AFTER)])} {html.escape(each.name)}"
        for n, each in enumerate(profiles)
    )
    return " &nbsp; ".join([*names, "dashed: before, solid: after" + f", band: {band}" * bar])


def _sign(colour: str) -> str:
    return f'<span style="color:{colour}">\u25a0</span>'
