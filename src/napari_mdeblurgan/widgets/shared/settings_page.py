"""What the user set on napari's settings page, under M-Deblurgan; the manifest's `configurations`
say what there is.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, fields
from typing import Any

from napari_mdeblurgan.folders import CACHE_VARIABLE

PLUGIN, GROUP = "napari-mdeblurgan", "computing"

log = logging.getLogger(__name__)

_exported_cache = ""  # what this module has put into the environment


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds wherever nothing else is chosen.

    Attributes
    ----------
    device : str
        What "auto" stands for in the widgets, see `pick_device`.
    precision : str
        See `pick_precision`.
    tile_memory_mb : int
        Memory that one tile may take, in MiB; 0 leaves it to the device.
    cache_folder : str
        Where downloads are kept; empty for the user's cache folder.
    """

    device: str = "auto"
    precision: str = "auto"
    tile_memory_mb: int = 0
    cache_folder: str = ""

    def device_for(self, chosen: str | None) -> str:
        """The device that `chosen` in a widget comes to."""
        return chosen if chosen and chosen != "auto" else self.device


def read_settings() -> Settings:
    """Read what is set now; the defaults where napari does not know the plugin. Call it on the main
    thread.

    A cache folder that is set is made known to all that runs, processes it starts included, through
    MDEBLURGAN_CACHE, unless the environment names one itself.
    """
    stored = _stored()
    set_there: dict[str, Any] = {
        each.name: getattr(stored, each.name) for each in fields(Settings) if stored is not None
    }
    settings = Settings(**set_there)
    _export_cache(settings.cache_folder.strip())
    return settings


def _stored() -> Any:
    """napari's settings of this plugin; None where it has none."""
    from napari.settings import get_plugin_settings

    try:
        return getattr(get_plugin_settings(PLUGIN), GROUP, None)
    except KeyError:  # not discovered, or disabled
        return None
    except Exception:
        log.exception("napari's settings of the plugin could not be read; the defaults hold")
        return None


def _export_cache(folder: str) -> None:
    global _exported_cache
    if os.environ.get(CACHE_VARIABLE, "") != _exported_cache:
        return  # the user's own environment wins
    if folder:
        os.environ[CACHE_VARIABLE] = folder
    else:
        os.environ.pop(CACHE_VARIABLE, None)
    _exported_cache = folder
