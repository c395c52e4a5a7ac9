"""Where the package keeps what it can fetch or make again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "MDEBLURGAN_CACHE"


def at_home(path: str | Path) -> Path:
    """A path with ``~`` resolved; as it is given where it names a user that is not there."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def cache_folder() -> Path:
    """The folder that MDEBLURGAN_CACHE of the environment names, or the user's cache folder; it may not be there yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return at_home(chosen) if chosen else platformdirs.user_cache_path("napari-mdeblurgan")
