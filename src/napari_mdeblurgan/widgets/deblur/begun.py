"""Interrupted results of an earlier session: looked for in the results folder, without making the
viewer wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from qtpy.QtCore import QTimer

from napari_mdeblurgan.folders import file_there
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_begun import begun_fraction
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import PARTIAL
from napari_mdeblurgan.widgets.layers.placement import placement_of
from napari_mdeblurgan.widgets.runs.results import result_ending
from napari_mdeblurgan.widgets.shared import wording
from napari_mdeblurgan.widgets.shared.closing import InWords, worker_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari import Viewer
    from napari.layers import Image

    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.widgets.runs.job import Job

REST_MS = 200  # after the last choice: a slider makes many


@dataclass(frozen=True, slots=True)
class BegunResult:
    """An interrupted result.

    Attributes
    ----------
    path : Path
        The unfinished OME-Zarr.
    model : str
        The name of the model that makes it.
    fraction : float
        How much of it is on disk, from 0 to 1.
    """

    path: Path
    model: str
    fraction: float


def find_begun(job: Job, cards: Sequence[ModelCard]) -> BegunResult | None:
    """Look in `job.folder` for an interrupted result of a job, also one that another model was
    making.

    All pixels of an image in memory are read if there is any interrupted result: call it on a
    worker thread. Nothing is written or removed.

    Parameters
    ----------
    job : Job
        With the folder.
    cards : sequence of ModelCard
        The models to look for, the preferred one first.
    """
    assert job.folder is not None
    try:
        begun = [path for path in job.folder.iterdir() if path.name.endswith(PARTIAL)]
    except OSError:
        return None
    identity = job.identity if begun else ""
    for card in cards if begun else ():
        ending = result_ending(job, identity, card) + PARTIAL
        path = next((path for path in begun if path.name.endswith(ending)), None)
        fraction = None if path is None else begun_fraction(path)
        if path is not None and fraction is not None:
            return BegunResult(path, card.name, fraction)
    return None


class BegunSearch:
    """Looks for the interrupted results of layers and remembers what was found; lives on the main
    thread.

    Parameters
    ----------
    viewer : Viewer
        Whose layers they are.
    look : callable
        Called without arguments when the choices have come to rest; calls `begin`.
    on_found : callable
        Called without arguments when a look has ended.
    """

    def __init__(
        self, viewer: Viewer, look: Callable[[], None], on_found: Callable[[], None]
    ) -> None:
        self._viewer, self._on_found = viewer, on_found
        self._rest = QTimer()
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(look)
        self._found: WeakKeyDictionary[Image, tuple[BegunResult, dict[str, Any]]] = (
            WeakKeyDictionary()
        )
        self._number = 0
        self._abandoned = False

    def look_soon(self, image: Image | None) -> None:
        """Forget what was found for a layer, and look again when the choices have come to rest."""
        self.forget(image)
        self._rest.start(REST_MS)

    def begin(self, image: Image, job: Job, cards: Sequence[ModelCard]) -> None:
        """Look for the results of a layer, on a worker thread."""
        self._number += 1
        number, layer, place = self._number, ref(image), placement_of(image).told()

        def found(begun: BegunResult | None) -> None:
            source = layer()
            if self._abandoned or number != self._number or source is None:
                return
            if begun is not None:
                self._found[source] = begun, place
            self._on_found()

        work = InWords(find_begun, "a look for interrupted results")
        worker_of(self._viewer, work, job, cards, _connect={"returned": found}).start()

    def forget(self, image: Image | None) -> None:
        """Say nothing more of what was found for a layer."""
        self._number += 1
        if image is not None:
            self._found.pop(image, None)

    def of(self, image: Image | None) -> BegunResult | None:
        """What was found for a layer, if it and the layer are still where they were."""
        begun, place = self._found.get(image, (None, None)) if image is not None else (None, None)
        if begun is None or image is None or place != placement_of(image).told():
            return None
        return begun if file_there(begun.path / "zarr.json") else None

    def sentence(self, image: Image | None, card: ModelCard | None) -> str:
        """The same in words; empty where there is nothing."""
        begun = self.of(image)
        if begun is None or card is None:
            return ""
        return wording.begun(begun.fraction, "" if begun.model == card.name else begun.model)

    def abandon(self) -> None:
        """Hear nothing more of it."""
        self._rest.stop()
        self._abandoned = True
