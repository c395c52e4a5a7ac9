"""Live curves of a fine-tuning: loss, and PSNR on the held-out part."""

from __future__ import annotations

import math
from typing import Any

import pyqtgraph
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

_TRAINING, HELD_OUT, _BICUBIC = "#4c9be8", "#f0a830", "#9a9a9a"
_TITLES = "RMS error, % of the intensity range", "PSNR, dB"
_MOST_POINTS = 2000
_LEGEND_ALPHA = 210
SMOOTHING = 0.9
_HEIGHT = 165
_BELOW_LABEL = 6  # pyqtgraph lets the label of an axis hang out by so many pixels
LEAST_SPAN = 0.5  # of what is shown upwards, in % and dB: less is noise
_UNITS = (
    ("s", 60.0, 2.0),
    ("min", 1.0, 120.0),
    ("h", 1 / 60, math.inf),
)  # how many a minute has, and up to which minute


class Curves(QWidget):
    """Two plots over the working time. All that is told is in minutes; shown is what suits its
    length.
    """

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._loss, self._psnr = (self._plot() for _ in _TITLES)
        for plot in (self._loss, self._psnr):
            layout.addWidget(plot)
        self._loss_legend = self._loss.addLegend(offset=(-4, 4), labelTextSize="7pt")
        self._psnr_legend = self._psnr.addLegend(offset=(-4, -4), labelTextSize="7pt")
        self._training = self._loss.plot(pen=pyqtgraph.mkPen(_TRAINING, width=1.5), name="training")
        self._held_out = self._line(self._loss, HELD_OUT, "held out")
        self._psnr_line = self._line(self._psnr, HELD_OUT, "held out")
        self._base = self._dashed(_TRAINING, "base model")
        self._bicubic = self._dashed(_BICUBIC, "bicubic")
        self._write()
        self.clear()

    def _plot(self) -> pyqtgraph.PlotWidget:
        plot = pyqtgraph.PlotWidget(background=None)  # that of the window, in any theme
        plot.setFixedHeight(_HEIGHT)
        for name in ("left", "bottom"):
            plot.getAxis(name).enableAutoSIPrefix(
                False
            )  # else 0.003 min would be written as 3 (x0.001)
        plot.getPlotItem().layout.setContentsMargins(0, 0, 0, _BELOW_LABEL)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setLimits(xMin=0, minYRange=LEAST_SPAN)
        plot.showGrid(x=True, y=True, alpha=0.15)
        return plot

    def _line(self, plot: pyqtgraph.PlotWidget, colour: str, name: str) -> pyqtgraph.PlotDataItem:
        pen = pyqtgraph.mkPen(colour, width=2)
        return plot.plot(
            pen=pen, symbol="o", symbolSize=4, symbolBrush=colour, symbolPen=None, name=name
        )

    def _dashed(self, colour: str, name: str) -> pyqtgraph.PlotDataItem:
        return self._psnr.plot(
            pen=pyqtgraph.mkPen(colour, width=1.2, style=Qt.PenStyle.DashLine), name=name
        )

    def changeEvent(self, event: QEvent | None) -> None:
        """See Qt; another theme has another colour for what is written."""
        super().changeEvent(event)
        if (
            event is not None
            and event.type() == QEvent.Type.StyleChange
            and hasattr(self, "_psnr_legend")
        ):
            self._write()

    def _write(self) -> None:
        """Titles, axes and legends in the colour of the theme's text."""
        colour = self.palette().color(self.foregroundRole())
        behind = self.palette().color(self.backgroundRole())
        behind.setAlpha(_LEGEND_ALPHA)  # a line that runs below it does not run through its words
        legends = (self._loss_legend, self._psnr_legend)
        for plot, legend, title in zip((self._loss, self._psnr), legends, _TITLES, strict=True):
            plot.setTitle(title, size="8pt", color=colour)
            legend.setLabelTextColor(colour)
            legend.setBrush(behind)
            for _, label in legend.items:
                label.setText(label.text)  # it takes its colour when it is written
            for name in ("left", "bottom"):
                plot.getAxis(name).setTextPen(colour)

    def clear(self) -> None:
        """Begin anew."""
        self.losses: list[tuple[float, float]] = []
        self.validations: list[tuple[float, float]] = []
        self._levels: tuple[float, float] | None = None  # base model and bicubic
        self._smooth: float | None = None
        self._draw()

    def recall(
        self, losses: list[tuple[float, float]], validations: list[tuple[float, float]]
    ) -> None:
        """What earlier sittings have left: (minutes, loss) and (minutes, PSNR in dB)."""
        self.losses = [(minutes, loss) for minutes, loss in losses]
        self.validations = [(minutes, psnr_db) for minutes, psnr_db in validations]
        self._smooth = self.losses[-1][1] if self.losses else None
        self._draw()

    def begin(self, base_db: float, bicubic_db: float, plain: str = "bicubic") -> None:
        """What the held-out part starts from, and what bicubic enlargement makes of it, or what
        else `plain` is called.
        """
        self._psnr_legend.getLabel(self._bicubic).setText(plain)
        self._levels = base_db, bicubic_db
        if not self.validations:
            self.validations.append((0.0, base_db))
        self._draw()

    def add(self, minutes: float, loss: float, psnr_db: float | None) -> None:
        """One step."""
        self._smooth = (
            loss if self._smooth is None else SMOOTHING * self._smooth + (1 - SMOOTHING) * loss
        )
        self.losses.append((minutes, self._smooth))
        if len(self.losses) > _MOST_POINTS:
            self.losses = self.losses[::2]
        if psnr_db is not None:
            self.validations.append((minutes, psnr_db))
        self._draw()

    def _draw(self) -> None:
        end = max([at for at, _ in (*self.losses, *self.validations)], default=0.0)
        unit, times = next((unit, times) for unit, times, longest in _UNITS if end <= longest)
        for plot in (self._loss, self._psnr):
            plot.setLabel("bottom", f"working time, {unit}")
            for name in ("left", "bottom"):
                plot.getAxis(name).setStyle(showValues=bool(self.losses or self.validations))
        losses = [(times * at, percent_of_log_mse(loss)) for at, loss in self.losses]
        validations = [(times * at, psnr) for at, psnr in self.validations]
        self._training.setData(*_columns(losses))
        self._held_out.setData(*_columns([(at, percent_of_psnr(psnr)) for at, psnr in validations]))
        self._psnr_line.setData(*_columns(validations))
        end *= times
        for line, level in zip(
            (self._base, self._bicubic), self._levels or (None, None), strict=True
        ):
            line.setData(*_columns([(0.0, level), (end, level)] if level is not None else []))


def percent_of_log_mse(loss: float) -> float:
    """Root mean square error in % of the intensity range, of the natural logarithm of a mean
    squared error.
    """
    return 100 * math.exp(min(loss, 0.0) / 2)


def percent_of_psnr(psnr_db: float) -> float:
    """Root mean square error in % of the intensity range, of a peak signal-to-noise ratio."""
    return float(100 * 10 ** (-psnr_db / 20))


def _columns(points: list[tuple[float, float]]) -> tuple[Any, Any]:
    return [x for x, _ in points], [y for _, y in points]
