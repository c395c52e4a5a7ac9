"""Sharp, super-resolved micrographs in one click: the M-Deblurgan method for napari."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.restoration.engine import restore

try:
    from napari_mdeblurgan._version import __version__
except ImportError:  # a source tree that was never built
    __version__ = "0+unknown"

__all__ = ["__version__", "load_model", "restore"]


def __getattr__(name: str) -> Any:
    """Import the public functions on first use, so that napari starts without torch."""
    if name == "load_model":
        from napari_mdeblurgan.model import load_model

        return load_model
    if name == "restore":
        from napari_mdeblurgan.restoration.engine import restore

        return restore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
