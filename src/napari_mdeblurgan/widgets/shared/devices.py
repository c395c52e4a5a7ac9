"""The devices of this machine for the drop-down, found without making the viewer wait."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.errors import NoTorch
from napari_mdeblurgan.widgets.shared.closing import InWords, unheard, worker_of

if TYPE_CHECKING:
    from magicgui.widgets import ComboBox
    from napari import Viewer

    from napari_mdeblurgan.widgets.shared.choices import Remembered

_LOOKING = "the search for devices to run on"

_SHORT = {"cpu": "CPU", "mps": "Apple GPU"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Devices:
    """Drop-down entries as (words, name)."""

    entries: tuple[tuple[str, str], ...] = (("Automatic", "auto"),)


def find_devices(automatic: str = "auto", model: str = "") -> Devices:
    """Look for devices, and get ready for a first run while the user looks.

    Imports torch, which takes seconds the first time: call it on a worker thread.

    Nothing is raised: if torch cannot be loaded, the run that needs it will say so.

    Parameters
    ----------
    automatic : str
        What "Automatic" stands for.
    model : str
        Name of the model that is likely to be run first; without it nothing is got ready.
    """
    if model:
        _get_ready(model)
    try:
        from napari_mdeblurgan.restoration.device import available_devices, device_label

        found = available_devices()
        stands_for = found[0] if automatic == "auto" else automatic
        first = (f"Automatic ({_SHORT.get(stands_for, stands_for)})", "auto")
        return Devices(entries=(first, *((device_label(device), device) for device in found)))
    except NoTorch:
        return Devices()
    except Exception:
        log.exception("the devices could not be listed")
        return Devices()


def _get_ready(model: str) -> None:
    """Import what a run takes, and load the model once: what torch does the first time is done
    then.
    """
    try:
        import napari_mdeblurgan.pipeline
        import napari_mdeblurgan.restoration.engine
        import napari_mdeblurgan.restoration.made
        import napari_mdeblurgan.restoration.micrographs
        import napari_mdeblurgan.restoration.softened_result
        import napari_mdeblurgan.trust.explanation  # noqa: F401
        from napari_mdeblurgan.model import load_model

        load_model(model)
    except Exception as error:  # the run that needs it will say so
        log.info("a first run could not be got ready: %s", error)


class DeviceSearch:
    """Looks for the devices once, on a thread of its own.

    Parameters
    ----------
    viewer : Viewer
        For whose dock.
    on_found : callable
        Called with the devices, on the main thread.
    """

    def __init__(self, viewer: Viewer, on_found: Callable[[Devices], None]) -> None:
        self._viewer, self._on_found = viewer, on_found
        self._worker: Any = None

    def begin(self, automatic: str, model: str = "") -> None:
        """Look for them, if that was not begun before; see `find_devices`."""
        if self._worker is None:
            self._worker = worker_of(
                self._viewer,
                InWords(find_devices, _LOOKING),
                automatic,
                model,
                _connect={"returned": self._on_found},
            )
            self._worker.start()

    def abandon(self) -> None:
        """Hear nothing more of it."""
        unheard(self._worker, returned=self._on_found)


class DeviceChoice:
    """The drop-down **Device**: which devices are offered, and which was chosen last; lives on the
    main thread.

    Parameters
    ----------
    viewer : Viewer
        For whose dock.
    remembered : Remembered
        What was chosen last.

    Attributes
    ----------
    box : ComboBox
        The drop-down, once it is made: for that the entries are needed.
    """

    box: ComboBox

    def __init__(self, viewer: Viewer, remembered: Remembered) -> None:
        self._remembered, self._devices = remembered, Devices()
        self.search = DeviceSearch(viewer, self._offer)

    def entries(self, _: object = None) -> list[tuple[str, str]]:
        """What the drop-down offers."""
        return list(self._devices.entries)

    def remember(self, device: str | None) -> None:
        """Keep the chosen device."""
        if device:
            self._remembered.change(device=device)

    def _offer(self, devices: Devices) -> None:
        self._devices = devices
        wanted = self._remembered.choices.device
        with self.box.changed.blocked():
            self.box.reset_choices()
            if wanted in self.box.choices:
                self.box.value = wanted
