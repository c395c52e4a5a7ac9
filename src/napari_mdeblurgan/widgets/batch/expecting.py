"""How long a batch will take, told before it is begun; and how long its images
took, kept for that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.widgets.shared import wording
from napari_mdeblurgan.widgets.shared.closing import InWords, unheard, worker_of
from napari_mdeblurgan.widgets.shared.run_times import RunTimes, Work

if TYPE_CHECKING:
    from napari import Viewer

    from napari_mdeblurgan.batch import Success
    from napari_mdeblurgan.batch.extent import Extents

_LOOKING = "a look at how much there is to do"
_SOON_MS = 300  # after the last change of what is to be done


class Expecting(QObject):
    """Looks at the images in the background; lives on the main thread.

    Parameters
    ----------
    viewer : Viewer
        For whose dock.
    changed : callable
        Called without arguments once it is known how much there is to do.
    """

    def __init__(self, viewer: Viewer, changed: Callable[[], None]) -> None:
        super().__init__()
        self._viewer, self._changed = viewer, changed
        self._times = RunTimes()
        self._asked: tuple[Any, ...] | None = None  # what is looked at, or was
        self._found: Extents | None = None
        self._took: list[tuple[Work, str, float]] = []  # by images of the run that is at work
        self._worker: Any = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self._look)

    def told(self, inputs: list[Any], output: str, settings: Mapping[str, Any]) -> str:
        """How long it will take, in words; empty while that is not known yet."""
        if settings["workers"] is not None or settings["scheduler"] is not None:
            return wording.TIME_TOLD_THEN
        kept = {
            name: value
            for name, value in settings.items()
            if name not in ("device", "retry_failed")
        }
        asked = (
            [id(each) if isinstance(each, Micrograph) else each for each in inputs],
            output,
            kept,
            list(inputs),
        )
        if self._asked is None or self._asked[:3] != asked[:3]:
            self.forget()
            self._asked = asked
            self._soon.start()
        if self._found is None:
            return ""
        if not self._found.images:
            return "" if self._found.files else wording.NOTHING_MISSING
        works = [
            _work(each.values, settings, rgb=each.rgb, on_disk=each.on_disk)
            for each in self._found.images
        ]
        words = self._times.told_of(works, self._found.share)
        known = words not in (wording.TIME_UNKNOWN, wording.TIME_OF_LARGER_UNKNOWN)
        return (
            f"{words} {wording.judged_by(self._found.looked_at, self._found.files)}".strip()
            if known
            else words
        )

    def forget(self) -> None:
        """Look again when it is asked for."""
        self._soon.stop()
        self._asked = self._found = None
        worker, self._worker = self._worker, None
        unheard(worker, returned=self._on_found)
        if worker is not None:
            worker.quit()

    def _look(self) -> None:
        if self._asked is None:
            return
        *_, output, settings, inputs = self._asked
        self._worker = worker_of(
            self._viewer, InWords(_extents, _LOOKING), inputs, output, settings
        )
        self._worker.returned.connect(self._on_found)
        self._worker.start()

    def _on_found(self, found: Extents | None) -> None:
        self._worker, self._found = None, found
        self._times.read()
        self._changed()

    # ---- what a run tells

    def took(self, made: Success, settings: Mapping[str, Any]) -> None:
        """Note how long an image took that was restored in this process, from its beginning to its
        end.
        """
        on_disk = made.output.suffix == ".zarr"
        work = _work(made.values, settings, rgb=made.rgb, on_disk=on_disk)
        self._took.append((work, made.device, made.seconds))

    def end(self) -> None:
        """Keep what the images of a run took on an average; the first waited for what is loaded
        once.
        """
        took, self._took = self._took, []
        kinds = dict.fromkeys((work.kind, device) for work, device, _ in took)
        for kind in kinds:
            runs = [each for each in took if (each[0].kind, each[1]) == kind and each[0].values]
            runs = runs[1:] if len(runs) > 1 and runs[0] is took[0] else runs
            if runs:
                values = sum(work.values for work, _, _ in runs) // len(runs)
                seconds = sum(each for *_, each in runs) / len(runs)
                self._times.keep(replace(runs[0][0], values=values), kind[1], seconds)
        self.forget()


def _work(values: int, settings: Mapping[str, Any], *, rgb: bool, on_disk: bool) -> Work:
    return Work(
        values,
        settings["rgb_model" if rgb else "grey_model"],
        settings["device"],
        settings["precision"],
        settings["output_scale"],
        ensemble=False,
        trust=settings["trust"],
        on_disk=on_disk,
    )


def _extents(
    inputs: list[Any], output: str, settings: dict[str, Any]
) -> Generator[None, None, Extents | None]:
    """See `extents`; None where a batch would not begin, which says why."""
    from napari_mdeblurgan.batch import BatchSettings
    from napari_mdeblurgan.batch.extent import extents

    try:
        with closing(extents(inputs, output, BatchSettings(**settings))) as steps:
            return (yield from steps)
    except (MdeblurganError, OSError):
        return None
