"""Where the package keeps what it can fetch or make again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "MDEBLURGAN_CACHE"


def cache_folder() -> Path:
    """The folder that MDEBLURGAN_CACHE of the environment names, or the user's cache folder; it may not be there yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("napari-mdeblurgan")
