"""A map as a picture with its scale, for a report or a page."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.storage.pillow import PNG_LEVEL
from napari_mdeblurgan.trust.choice import LEGEND
from napari_mdeblurgan.trust.maps import TrustMap

WIDTH_IN, _DPI = 5.6, 110
LARGEST = 640  # pixels that are drawn, along y and x
READ_EDGE = 2048  # what is read for it
CHOICE_COLOURS = (
    "#FFFFFF",
    "#E69F00",
    "#56B4E9",
    "#CC79A7",
)  # (Okabe & Ito) apart half transparent, too
ABSENT = "#BBBBBB"


def picture(trust_map: TrustMap, index: tuple[int, ...] = ()) -> bytes:
    """Draw one plane of a map: a PNG.

    Parameters
    ----------
    trust_map : TrustMap
        Of a map with a last axis, such as the weights, its last entry is drawn.
    index : tuple of int
        Of the plane along the axes before y and x.
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap  # takes a while to load
    from matplotlib.figure import Figure

    kind = trust_map.kind
    level = read(_small_enough(trust_map), index)
    plane = reduced_map(level, (), kind.last_axis, largest_counts=kind.reduction == "largest")
    aspect = plane.shape[0] / plane.shape[1]
    figure = Figure(
        figsize=(WIDTH_IN, WIDTH_IN * 0.8 * min(max(aspect, 0.25), 2) + 0.3), layout="constrained"
    )
    axes = figure.subplots()
    axes.set_facecolor(ABSENT)
    axes.set(xticks=[], yticks=[])
    if kind.colormap:
        low, high = kind.limits or _limits(plane)
        drawn = axes.imshow(plane, cmap=kind.colormap, vmin=low, vmax=high, interpolation="nearest")
        figure.colorbar(drawn, ax=axes, label=kind.unit, extend="max", shrink=0.9)
    else:
        colours = ListedColormap(CHOICE_COLOURS)
        drawn = axes.imshow(
            plane, cmap=colours, norm=BoundaryNorm(np.arange(-0.5, 4), 4), interpolation="nearest"
        )
        bar = figure.colorbar(drawn, ax=axes, ticks=list(LEGEND), shrink=0.9)
        bar.ax.set_yticklabels(list(LEGEND.values()))
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, pil_kwargs={"compress_level": PNG_LEVEL})
    return file.getvalue()


def _small_enough(trust_map: TrustMap) -> Any:
    """The finest level that is not much larger than what is drawn."""
    axis = -2 - len(trust_map.kind.last_axis)
    levels = (trust_map.data, *trust_map.coarser)
    return next((each for each in levels if max(each.shape[axis:][:2]) <= READ_EDGE), levels[-1])


def reduced_map(
    data: Any, index: tuple[int, ...], last_axis: tuple[int, ...], largest_counts: bool = False
) -> np.ndarray:
    """One plane of a map in at most 640 × 640 pixels, read in bands: block means, or what is
    largest in each block.
    """
    height, width = data.shape[len(index) : len(index) + 2]
    step = max(1, math.ceil(max(height, width) / LARGEST))
    rows = []
    for top in range(0, height, step):
        band = np.asarray(data[(*index, slice(top, top + step))])
        band = band[..., -1] if last_axis else band
        if step == 1 or band.dtype.kind != "f":
            rows.append(band[0, ::step])
            continue
        padded = np.full((band.shape[0], -(-width // step) * step), np.nan, band.dtype)
        padded[:, :width] = band
        blocks = (
            padded.reshape(band.shape[0], -1, step)
            .swapaxes(0, 1)
            .reshape(padded.shape[1] // step, -1)
        )
        rows.append(_largest(blocks) if largest_counts else _mean(blocks))
    return np.stack(rows)


def _largest(blocks: np.ndarray) -> np.ndarray:
    known = np.where(np.isfinite(blocks), blocks, -np.inf).max(axis=1)
    return np.where(np.isfinite(known), known, np.nan)


def _mean(blocks: np.ndarray) -> np.ndarray:
    known = np.isfinite(blocks)
    count = known.sum(axis=1)
    return np.where(count, np.where(known, blocks, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _limits(plane: np.ndarray) -> tuple[float, float]:
    """From nothing to nearly the largest."""
    known = plane[np.isfinite(plane)]
    high = float(np.percentile(known, 99.5)) if known.size else 1.0
    return 0.0, high if high > 0 else 1.0
