"""How far a fine-tuning is, and what earlier sittings have written of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from napari_mdeblurgan.fine_tuning.judged import JudgedNetwork
from napari_mdeblurgan.training.metrics_table import read_metrics
from napari_mdeblurgan.training.trainer import Record
from napari_mdeblurgan.training.validation import Validation

HISTORY_POINTS = 500


@dataclass(frozen=True, slots=True)
class TuningStep:
    """One step.

    Attributes
    ----------
    record : Record
        The step itself.
    seconds, budget_s : float
        Worked so far, and in all.
    validation : Validation or None
        Where one was made after this step: means over the held-out squares that the best is chosen
        by.
    best : bool
        Whether that was the best so far.
    """

    record: Record
    seconds: float
    budget_s: float
    validation: Validation | None
    best: bool

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self.record.step


class BaseAndBest(NamedTuple):
    """How the base model does on the held-out parts, and how the best weights so far do."""

    base: JudgedNetwork
    best: JudgedNetwork


def history(path: Path) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """What a table of metrics has: (minutes, loss) thinned out, and (minutes, PSNR in dB) of the
    held-out part.
    """
    rows = [row for row in read_metrics(path) if "minutes" in row]
    losses = [(row["minutes"], row["output"]) for row in rows if "output" in row]
    validations = [
        (row["minutes"], row["validation_psnr_db"]) for row in rows if "validation_psnr_db" in row
    ]
    return losses[:: max(1, len(losses) // HISTORY_POINTS)], validations
