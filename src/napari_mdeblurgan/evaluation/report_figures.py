"""The report's pictures: side by side with details, PSNR per epoch, PSNR against parameters."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.ndimage import uniform_filter

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.degradation import Condition
from napari_mdeblurgan.evaluation.method_gains import Comparison

FRAMES = ("#D55E00", "#56B4E9")  # told apart by the colour-blind, too (Okabe & Ito)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*"
COLUMN_IN = 2.0
DPI = 110


def comparison_figure(
    path: Path,
    columns: Sequence[tuple[str, np.ndarray, str]],
    title: str,
    where: np.ndarray | None = None,
) -> None:
    """Like the paper's Figure 5: whole images, and two details of each below.

    Parameters
    ----------
    path : Path
        A .png.
    columns : sequence of (str, ndarray, str)
        What stands above an image, the image, and what stands below it; the last one is the truth,
        whose steepest parts are shown as details. (y, x) or (y, x, 3) in [0, 1]; an image may have
        fewer pixels for the same field.
    title : str
        Of the whole picture.
    where : ndarray, optional
        (y, x) bool, of the truth: where details are looked for; everywhere if nothing is said.
    """
    truth = columns[-1][1]
    details = _details(truth, where)
    low, high = (0.0, 1.0) if truth.ndim == 3 else np.percentile(truth, (0.1, 99.9))
    limits = {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-6)}
    aspect = truth.shape[0] / truth.shape[1]
    figure = Figure(
        figsize=(COLUMN_IN * len(columns), COLUMN_IN * (aspect + 2) + 1.3), layout="constrained"
    )
    rows = figure.subplots(
        3, len(columns), squeeze=False, gridspec_kw={"height_ratios": [aspect, 1, 1]}
    )
    for column, (above, image, below) in enumerate(columns):
        whole = rows[0][column]
        whole.imshow(image, extent=_extent(truth.shape), interpolation_stage="data", **limits)
        whole.set_title(textwrap.fill(above, 20), fontsize=9)
        whole.set_xlabel(below, fontsize=9)
        for row, (y, x, edge) in enumerate(details):
            whole.add_patch(
                Rectangle(
                    (x - 0.5, y - 0.5), edge, edge, fill=False, color=FRAMES[row], linewidth=1.5
                )
            )
            part = rows[row + 1][column]
            shrink = truth.shape[0] // image.shape[0]
            cut = image[y // shrink : (y + edge) // shrink, x // shrink : (x + edge) // shrink]
            part.imshow(cut, interpolation="nearest", **limits)
            for spine in part.spines.values():
                spine.set(color=FRAMES[row], linewidth=2)
        for axes in rows[:, column]:
            axes.set(xticks=[], yticks=[])
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def _extent(shape: Sequence[int]) -> tuple[float, float, float, float]:
    return -0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5


def _details(truth: np.ndarray, where: np.ndarray | None) -> list[tuple[int, int, int]]:
    """Two squares where the steepest gradients gather, apart from each other: y, x, edge."""
    grey = truth.mean(axis=-1) if truth.ndim == 3 else truth
    edge = max(32, min(grey.shape) // 6 // 8 * 8)
    slopes = np.hypot(*np.gradient(grey.astype(np.float64)))
    slopes = np.minimum(slopes, np.percentile(slopes, 99))
    density = uniform_filter(slopes if where is None else slopes * where, edge, mode="constant")
    half = edge // 2
    inner = np.full_like(density, -1)
    inner[half : grey.shape[0] - half, half : grey.shape[1] - half] = density[
        half:-half, half:-half
    ]
    found = []
    for _ in FRAMES:
        y, x = (int(at) for at in np.unravel_index(int(inner.argmax()), inner.shape))
        found.append(((y - half) // 8 * 8, (x - half) // 8 * 8, edge))
        apart = max(edge, min(grey.shape) // 3)
        inner[max(0, y - apart) : y + apart, max(0, x - apart) : x + apart] -= 1
    return found


def per_epoch(path: Path, runs: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Like the paper's Figure 6: PSNR on the validation pieces over the epochs of training.

    Parameters
    ----------
    path : Path
        A .png.
    runs : mapping of str to sequence of (float, float)
        Epoch and PSNR in dB, under the name of each run.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for index, (name, points) in enumerate(runs.items()):
        line = ("-", "--", "-.", ":")[index % 4]
        epochs, db = zip(*points, strict=True)
        axes.plot(
            epochs,
            db,
            line,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            label=name,
        )
    axes.set(xlabel="epoch", ylabel="PSNR on the validation pieces (dB)", title="PSNR per epoch")
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def against_parameters(
    path: Path, comparison: Comparison, protocols: Mapping[str, Sequence[Condition]]
) -> None:
    """Like the paper's Figure 7: mean PSNR against the number of parameters; what has none is a
    line across.
    """
    figure = Figure(figsize=(5 * len(protocols) + 1, 4.5), layout="constrained")
    panels = figure.subplots(1, len(protocols), squeeze=False)[0]
    for axes, (protocol, conditions) in zip(panels, protocols.items(), strict=True):
        plain = 0
        for index, method in enumerate(comparison.methods):
            db = float(comparison.values(method, "psnr_db", conditions).mean())
            colour = COLOURS[index % len(COLOURS)]
            if method.parameters:
                marker = MARKERS[index % len(MARKERS)]
                axes.plot(
                    method.parameters / 1e6,
                    db,
                    marker,
                    color=colour,
                    label=method.name,
                    markersize=8,
                )
            else:
                axes.axhline(db, color=colour, label=method.name, linestyle=("--", ":")[plain % 2])
                plain += 1
        axes.set(
            xlabel="parameters (millions)",
            ylabel="mean PSNR (dB)",
            title=f"{comparison.title}, {protocol.capitalize()} protocol",
        )
        axes.set_xlim(0, 1.15 * max(1, *(method.parameters for method in comparison.methods)) / 1e6)
        axes.margins(y=0.1)
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with replacing(path, make_folders=True) as file:
        figure.savefig(file, format="png", dpi=DPI)
