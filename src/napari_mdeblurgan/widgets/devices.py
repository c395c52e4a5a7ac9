"""The devices of this machine for the drop-down, found without making the viewer wait."""

from __future__ import annotations

import logging
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Devices:
    """Drop-down entries as (words, name)."""

    entries: tuple[tuple[str, str], ...] = (("Automatic", "auto"),)


def find_devices() -> Devices:
    """Look for devices. Imports torch, which takes seconds the first time: call it on a worker thread.

    Nothing is raised: if torch cannot be loaded, the run that needs it will say so.
    """
    try:
        from napari_mdeblurgan.restoration.device import available_devices, device_label, pick_device

        automatic = (f"Automatic ({pick_device('auto')})", "auto")
        return Devices(entries=(automatic, *((device_label(device), device) for device in available_devices())))
    except Exception:
        log.exception("the devices could not be listed")
        return Devices()
