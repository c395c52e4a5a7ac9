"""The devices of this machine for the drop-down, found without making the viewer wait."""

from __future__ import annotations

import logging
from dataclasses import dataclass

LOOKING = "the search for devices to run on"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Devices:
    """Drop-down entries as (words, name)."""

    entries: tuple[tuple[str, str], ...] = (("Automatic", "auto"),)


def find_devices(automatic: str = "auto") -> Devices:
    """Look for devices. Imports torch, which takes seconds the first time: call it on a worker thread.

    Nothing is raised: if torch cannot be loaded, the run that needs it will say so.

    Parameters
    ----------
    automatic : str
        What "Automatic" stands for.
    """
    try:
        from napari_mdeblurgan.restoration.device import available_devices, device_label, pick_device

        found = available_devices()
        stands_for = pick_device("auto") if automatic == "auto" else automatic
        first = (f"Automatic ({stands_for})", "auto")
        return Devices(entries=(first, *((device_label(device), device) for device in found)))
    except Exception:
        log.exception("the devices could not be listed")
        return Devices()
