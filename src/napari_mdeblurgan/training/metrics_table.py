"""The table of a run: metrics.csv, one row every so many steps."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError, in_short
from napari_mdeblurgan.training.trainer import Record
from napari_mdeblurgan.training.validation import Validation

FIRST = (
    "step",
    "epoch",
    "loss",
    "learning_rate",
    "gradient_norm",
    "seconds_per_step",
    "waiting_per_step",
)
SHARE_PREFIX = "share of "

Row = dict[str, float]


def row_of(record: Record) -> Row:
    """One step as numbers under the names of the table's columns."""
    return {
        "loss": record.loss,
        "learning_rate": record.rate,
        "gradient_norm": record.gradient_norm,
        "seconds_per_step": record.seconds,
        "waiting_per_step": record.waited,
        **record.terms,
        **{f"{SHARE_PREFIX}{name}": value for name, value in record.shares.items()},
    }


class Metrics:
    """Gathers steps into rows, each the mean over the steps since the one before; validations stand
    in the row of their step.

    Parameters
    ----------
    path : Path
        The CSV file; begun anew if it is not there.
    epoch : int
        Steps of an epoch.
    """

    def __init__(self, path: Path, epoch: int) -> None:
        self.path, self.epoch = path, epoch
        self._sums: Row = {}
        self._counts: dict[str, int] = {}
        self._columns = _columns(path)

    def take(self, record: Record) -> None:
        """Add one step to the row in the making."""
        for name, value in row_of(record).items():
            if math.isfinite(value):
                self._sums[name] = self._sums.get(name, 0.0) + value
                self._counts[name] = self._counts.get(name, 0) + 1

    def write(self, step: int, validation: Validation | None, **more: float) -> Row:
        """End the row and append it to the file; `more` are further columns."""
        row: Row = {"step": step, "epoch": step / self.epoch}
        row |= {name: total / self._counts[name] for name, total in self._sums.items()}
        row |= (validation.columns if validation else {}) | more
        self._sums, self._counts = {}, {}
        new = [name for name in row if name not in self._columns]
        if new:
            rows = read_metrics(self.path)
            self._columns = [
                *FIRST,
                *(name for name in [*self._columns, *new] if name not in FIRST),
            ]
            self._rewrite(rows)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)
        return row

    def state(self) -> dict[str, Any]:
        """The row in the making, for a checkpoint."""
        return {"sums": self._sums, "counts": self._counts}

    def restore(self, state: Mapping[str, Any], step: int) -> None:
        """Go on from a checkpoint after `step`: rows that were written after it are dropped."""
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])
        if self._columns:
            self._rewrite([row for row in read_metrics(self.path) if row["step"] <= step])

    def _rewrite(self, rows: list[Row]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(rows)
        with replacing(self.path) as file:
            file.write(text.getvalue().encode())


def read_metrics(path: Path) -> list[Row]:
    """The rows of a metrics.csv, empty cells left out; a last line that was cut off is, too, and
    there are none where there is no file.

    Raises
    ------
    FileError
        If another program has changed it to something else.
    """
    names, *lines = _cells(path) or [[]]
    try:
        rows = [
            {name: float(cell) for name, cell in zip(names, line, strict=False) if name and cell}
            for line in lines
        ]
    except ValueError as error:
        raise _changed(path, in_short(error)) from None
    return [row for row in rows if "step" in row]


def _columns(path: Path) -> list[str]:
    return next(iter(_cells(path)), [])


def _cells(path: Path) -> list[list[str]]:
    """The lines that are whole; those of a table begin with the names of its columns."""
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _changed(path, in_short(error)) from None
    if lines and "step" not in lines[0]:
        raise _changed(path, "its first line does not name the column step")
    return lines


def _changed(path: Path, reason: str) -> FileError:
    return FileError(
        f"{path} is not the table of a training any more ({reason}); put back what was written, or "
        "remove it, and it is begun anew."
    )
