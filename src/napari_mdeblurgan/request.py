"""What is asked of the pipeline: what is to become of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInMemory:
    """What is to become of an image in memory. One that is lazy is read as it is needed.

    Attributes
    ----------
    options : mapping of str to Any
        For `planning`.
    examines : bool
        The image is looked at before it is restored, as it is where the result is assessed.
    ensemble : bool
        The result is the mean of eight orientations.
    maps : bool
        Make the maps of an assessment.
    softness : float
        By how much what the plan gives is softened before it is shown: sigma in pixels of the
        result, which is assessed so. An OME-Zarr is kept as the plan gives it.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    examines: bool = False
    ensemble: bool = False
    maps: bool = False
    softness: float = 0.0

    @property
    def assesses(self) -> bool:
        """Whether the result is to be assessed."""
        return self.maps


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(RequestInMemory):
    """What is to become of an image in a file. The maps of an assessment are written beside it;
    those of an OME-Zarr always lie within it.

    Attributes
    ----------
    output : Path
        Of the result: an OME-Zarr where it ends in ".zarr".
    report : Path or None
        Write a report on the assessment there.
    picture : Path or None
        Draw the image before and after there.
    identity : str
        As in `opening`.
    dated : bool
        The record tells when the result was assessed; else the same image gives the same bytes at
        any time.
    note : mapping of str to Any
        As in `opening`; of an OME-Zarr alone.
    reuses : bool
        An OME-Zarr that lies at `output` is the result, by whatever version it was made: its name
        holds all that it depends on. `Planned` then tells of what plan it came.
    records : bool
        The record of an OME-Zarr takes up what the assessment has found; else whoever asks keeps
        that of what is shown.
    """

    output: Path
    report: Path | None = None
    picture: Path | None = None
    identity: str = ""
    dated: bool = True
    note: Mapping[str, Any] = field(default_factory=dict)
    reuses: bool = False
    records: bool = True

    @property
    def assesses(self) -> bool:
        """Whether the result is to be assessed."""
        return self.maps or self.report is not None

    @property
    def on_disk(self) -> bool:
        """Whether the result is made block by block."""
        return self.output.suffix.lower() == ".zarr"
