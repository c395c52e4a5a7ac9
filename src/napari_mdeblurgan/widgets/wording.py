"""The words of the status line and the progress bar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Layer

UNBROKEN = "\N{NO-BREAK SPACE}"
CUT_PREVIEW = "It shows the middle of the view; zoom in to preview all of it."
OPEN_SAMPLE = "File → Open Sample → M-Deblurgan"


def nothing_to_restore(active: Layer | None, layers: Iterable[Layer]) -> str:
    """What to do when no image is chosen."""
    if active is not None:
        kind = type(active).__name__
        return f"{active.name!r} is a {kind} layer, which holds no picture to sharpen: open an image, or try {OPEN_SAMPLE}."
    if any(True for _ in layers):
        return f"There is no image among the layers: open one, or try {OPEN_SAMPLE}."
    return f"Open an image first, or try {OPEN_SAMPLE}."


def time_left(seconds: float | None) -> str:
    """How long the work will still last, in words that do not jump about."""
    if seconds is None:
        return ""
    if seconds < 1:
        return "nearly done"
    if seconds < 90:
        return f"about {round(seconds)} s left"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


def duration(seconds: float) -> str:
    """A time that has passed."""
    return f"{seconds:.1f}{UNBROKEN}s" if seconds < 60 else f"{seconds / 60:.1f}{UNBROKEN}min"


def place(device: str) -> str:
    """Where the network ran, in a sentence."""
    return {"cpu": "the processor", "mps": "the Apple GPU"}.get(device, device)
