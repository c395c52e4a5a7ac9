"""What lies in every folder that a training goes on in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Names of the files that all kinds of training write."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """What the training goes on from."""
        return self.path / "checkpoint.safetensors"

    @property
    def metrics(self) -> Path:
        """The loss and the validation, a row for every few steps."""
        return self.path / "metrics.csv"

    @property
    def curves(self) -> Path:
        """The same as a picture."""
        return self.path / "curves.png"
