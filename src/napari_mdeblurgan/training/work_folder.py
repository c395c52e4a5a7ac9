"""What lies in every folder that a training goes on in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from napari_mdeblurgan.atomic import PART


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Names of the files that all kinds of training write."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """What the training goes on from."""
        return self.path / "checkpoint.safetensors"

    @property
    def resumed_from(self) -> tuple[Path, Path]:
        """The checkpoint, and the one before."""
        return self.checkpoint, self.checkpoint.with_stem(f"{self.checkpoint.stem}-previous")

    @property
    def metrics(self) -> Path:
        """The loss and the validation, a row for every few steps."""
        return self.path / "metrics.csv"

    @property
    def curves(self) -> Path:
        """The same as a picture."""
        return self.path / "curves.png"


def remove_files(folder: Path, files: Iterable[Path]) -> None:
    """Remove files that a training has written, and those half-written that a killed process has
    left; no others.

    A link goes itself, and not what it leads to.
    """
    with contextlib.suppress(OSError):
        halves = [path for path in folder.iterdir() if PART.fullmatch(path.name)]
        for path in (*files, *halves):
            path.unlink(missing_ok=True)
