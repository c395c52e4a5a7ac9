"""Pictures of how a training goes: the loss, the shares of its terms, and the validation, step by
step.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.training.metrics_table import FIRST, SHARE_PREFIX, Row


def write_curves(path: Path, rows: Sequence[Row], plain: str = "bicubic") -> None:
    """Draw the rows of a metrics.csv as a PNG; `plain` is what the network is compared with.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for row in rows for name in row))
    shares = [name for name in names if name.startswith(SHARE_PREFIX)]
    terms = [
        name
        for name in names
        if name not in (*FIRST, *shares) and not name.startswith(("validation_", "bicubic_"))
    ]
    figure = Figure(figsize=(10, 9), layout="constrained")
    (loss, share), (psnr, ssim) = figure.subplots(2, 2)
    for name in terms:
        _draw(loss, rows, name, name)
    loss.set_yscale("symlog", linthresh=1e-3)
    _finish(loss, "Weighted terms of the loss", "")
    for name in shares:
        _draw(share, rows, name, name.removeprefix(SHARE_PREFIX))
    _finish(share, "Shares of the loss", "share of the whole")
    for axes, name, title, unit in (
        (psnr, "psnr_db", "Validation: PSNR", "dB"),
        (ssim, "ssim", "Validation: SSIM", ""),
    ):
        _draw(axes, rows, f"validation_{name}", "network")
        _draw(axes, rows, f"bicubic_{name}", plain)
        _finish(axes, title, unit)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=100)


def _draw(axes, rows: Sequence[Row], name: str, label: str) -> None:  # type: ignore[no-untyped-def]
    points = [(row["step"], row[name]) for row in rows if name in row]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, marker="." if len(points) < 3 else None)


def _finish(axes, title: str, unit: str) -> None:  # type: ignore[no-untyped-def]
    axes.set(title=title, xlabel="step", ylabel=unit)
    if axes.lines:
        axes.legend(fontsize="small")
    else:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
