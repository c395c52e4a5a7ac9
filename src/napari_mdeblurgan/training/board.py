"""Metrics for TensorBoard, where its writer is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_mdeblurgan.training.metrics_table import SHARE_PREFIX, Row

MISSING = (
    "no TensorBoard files are written: tensorboardX is not installed (pip install "
    "'napari-mdeblurgan[training]')"
)


def open_board(folder: Path, step: int) -> Any | None:
    """A writer that goes on after `step`, or None where tensorboardX is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1, flush_secs=30)


def show(board: Any, row: Row) -> None:
    """One row of the table, under names that TensorBoard groups."""
    step = int(row["step"])
    for name, value in row.items():
        if name not in ("step", "epoch"):
            group = "validation" if name.startswith(("validation_", "bicubic_")) else "training"
            group, name = (
                ("shares", name.removeprefix(SHARE_PREFIX))
                if name.startswith(SHARE_PREFIX)
                else (group, name)
            )
            board.add_scalar(f"{group}/{name}", value, step)
