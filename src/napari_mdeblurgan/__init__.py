"""Sharp, super-resolved micrographs in one click: the M-Deblurgan method for napari."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_mdeblurgan.focus import all_in_focus
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.restoration.engine import restore

try:
    from napari_mdeblurgan._version import __version__
except ImportError:  # a source tree that was never built
    __version__ = "0+unknown"

__all__ = ["__version__", "all_in_focus", "load_model", "restore"]

_WHERE = {"all_in_focus": "focus", "load_model": "model", "restore": "restoration.engine"}


def __getattr__(name: str) -> Any:
    """Import the public functions on first use, so that napari starts without torch."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    """What completion offers, also before first use."""
    return sorted({*globals(), *__all__})
