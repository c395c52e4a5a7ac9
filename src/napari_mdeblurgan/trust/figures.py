"""The figures of an assessment, gathered tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_mdeblurgan.trust.consistency import NOTABLE
from napari_mdeblurgan.trust.estimates import Estimate
from napari_mdeblurgan.trust.signal import Brightness

ERROR_BINS = np.geomspace(1e-5, 10, 300)  # of half-widths in windows
BINS_PER_E = (len(ERROR_BINS) - 1) / np.log(ERROR_BINS[-1] / ERROR_BINS[0])


@dataclass(frozen=True, slots=True)
class Figures:
    """What a few numbers say of a whole image; see `Assessment`."""

    consistency: float
    inconsistent: float
    error: float | None
    large_error: float | None
    signal_error: float | None
    signal_share: float | None
    disagreement: float | None


@dataclass(slots=True)
class Sums:
    """What the figures are made of, so far."""

    squares: float = 0.0
    notable: int = 0
    compared: int = 0
    errors: float = 0.0
    barred: int = 0
    histogram: dict[float, np.ndarray] = field(default_factory=dict)  # by grey levels in a window
    seen: dict[int, tuple[Brightness, Estimate]] = field(
        default_factory=dict
    )  # by number of the window
    spreads: float = 0.0
    spread_pixels: int = 0

    def add(self, made: Mapping[str, np.ndarray], span: float, factor: int) -> None:
        """Take the maps of one tile, whose window of intensity spans so many grey levels and whose
        pixels became factor².
        """
        z = _known(made["consistency"])
        self.squares += float(np.square(z).sum(dtype=np.float64))
        self.notable += int(np.count_nonzero(z > NOTABLE))
        self.compared += z.size
        if "error" in made:
            bars = made["error"][::factor, ::factor]  # one for all pixels that a pixel has become
            widths, pixels = _known(bars), factor**2
            self.errors += pixels * float(widths.sum(dtype=np.float64))
            self.barred += pixels * widths.size
            counts = self.histogram.setdefault(span, np.zeros(len(ERROR_BINS) - 1, np.int64))
            counts += pixels * _counts(widths / span)
        if "disagreement" in made:
            known = _known(made["disagreement"])
            self.spreads += float(known.sum(dtype=np.float64))
            self.spread_pixels += known.size

    def add_signal(
        self, number: int, estimate: Estimate, values: np.ndarray, error: np.ndarray, factor: int
    ) -> None:
        """Take the error bar of one tile with the result's brightness, in windows, for window
        `number`: of the factor² pixels that one became, which share it, the first.
        """
        brightness, _ = self.seen.setdefault(number, (Brightness(), estimate))
        brightness.add(values, error[::factor, ::factor] / estimate.window.span, factor**2)

    def figures(self) -> Figures:
        """Of all that was added."""
        signal_error, signal_share = self._of_signal()
        return Figures(
            consistency=(self.squares / self.compared) ** 0.5 if self.compared else float("nan"),
            inconsistent=self.notable / self.compared if self.compared else 0.0,
            error=self.errors / self.barred if self.barred else None,
            large_error=self._quantile(0.95) if self.barred else None,
            signal_error=signal_error,
            signal_share=signal_share,
            disagreement=self.spreads / self.spread_pixels if self.spread_pixels else None,
        )

    def _of_signal(self) -> tuple[float | None, float | None]:
        """Mean of the error bar over what is not background, in grey levels and in shares of its
        signal.
        """
        pixels, errors, shares = 0, 0.0, 0.0
        for brightness, estimate in self.seen.values():
            found = brightness.foreground(estimate.examination.noise)
            if found is None:
                return None, None
            if found.pixels:
                pixels += found.pixels
                errors += found.errors * estimate.window.span
                shares += found.errors / found.signal
        return (errors / pixels, shares / pixels) if pixels else (None, None)

    def _quantile(self, share: float) -> float:
        widths = np.concatenate(
            [np.sqrt(ERROR_BINS[1:] * ERROR_BINS[:-1]) * span for span in self.histogram]
        )
        counts = np.concatenate(list(self.histogram.values()))
        order = np.argsort(widths)
        reached = np.cumsum(counts[order])
        return float(widths[order][np.searchsorted(reached, share * reached[-1])])


def _known(values: np.ndarray) -> np.ndarray:
    """Those of a map that are numbers."""
    finite = np.isfinite(values)
    return values.ravel() if finite.all() else values[finite]


def _counts(widths: np.ndarray) -> np.ndarray:
    """How many lie in each of `ERROR_BINS`; what lies beyond counts as the first or the last."""
    lowest, last = np.float32(ERROR_BINS[0]), len(ERROR_BINS) - 2
    number = np.clip(widths, lowest, np.float32(ERROR_BINS[-1]), dtype=np.float32)
    np.log(np.divide(number, lowest, out=number), out=number)
    number *= np.float32(BINS_PER_E)
    return np.bincount(np.minimum(number, last).astype(np.intp), minlength=last + 1)
