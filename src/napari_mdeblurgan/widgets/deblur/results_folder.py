"""The controls **Save to disk** and **Results folder**: whether a result is made on disk, where,
and what lies there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, Container, Label, PushButton
from napari.utils.notifications import show_error
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QMessageBox, QSizePolicy

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.widgets.runs.results import (
    Result,
    listed_results,
    remove_results,
    results_cache,
)
from napari_mdeblurgan.widgets.shared.closing import InWords, unheard, worker_of
from napari_mdeblurgan.widgets.shared.plain import literal, plain
from napari_mdeblurgan.widgets.shared.rows import in_a_row
from napari_mdeblurgan.widgets.shared.wording import disk_amount

if TYPE_CHECKING:
    from napari import Viewer

    from napari_mdeblurgan.widgets.shared.choices import Remembered

ASK_TIP = (
    "Make the result on disk, as an OME-Zarr with a pyramid, and show it while it fills in. After "
    "Cancel, or when napari was closed, the same image and settings go on where it stopped."
)
MUST_TIP = "The result would not fit comfortably in memory, so it is made on disk. " + ASK_TIP


class ResultsFolder:
    """The controls; `widget` is to be laid out, the rest is for who starts the work.

    Parameters
    ----------
    viewer : Viewer
        For whose results.
    remembered : Remembered
        What was chosen last: whether to disk, and the user's own place; empty for the cache folder.
    on_folder : callable
        Called without arguments when another place was picked.
    in_use : callable
        Gives the paths that must not be removed, because a layer shows them or a run is making
        them.
    """

    def __init__(
        self,
        viewer: Viewer,
        remembered: Remembered,
        on_folder: Callable[[], None],
        in_use: Callable[[], Collection[Path]],
    ) -> None:
        self._viewer = viewer
        self._remembered, self._on_folder, self._in_use = remembered, on_folder, in_use
        self._own = remembered.choices.results_folder
        self._worker: Any = None
        self._abandoned = False
        self.results: list[Result] = []
        self._wanted, self._must = remembered.choices.to_disk == "yes", False
        self.to_disk = CheckBox(text="Save to disk (OME-Zarr)", value=self._wanted, tooltip=ASK_TIP)
        self.place = Label(value="")
        self.choose = PushButton(
            text="Choose…", tooltip="Pick the folder in which results are made."
        )
        self.usual = PushButton(
            text="Default", tooltip="Go back to the cache folder of this plugin."
        )
        self.open = PushButton(text="Open", tooltip="Show the folder in the file manager.")
        self.empty = PushButton(text="Empty…")
        self.buttons = in_a_row(self.choose, self.usual, self.open, self.empty)
        self.details = Container(widgets=[self.place, self.buttons], labels=False)
        self.details.margins = (0, 0, 0, 0)
        self.widget = Container(widgets=[self.to_disk, self.details], labels=False)
        self.widget.margins = (0, 0, 0, 0)
        plain(self.place.native).setWordWrap(True)
        self.place.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.to_disk.changed.connect(self._on_box)
        self.choose.changed.connect(self.pick)
        self.usual.changed.connect(lambda: self.use(""))
        self.open.changed.connect(self.show_in_file_manager)
        self.empty.changed.connect(self.ask_to_empty)
        self._refresh()

    @property
    def folder(self) -> Path:
        """Where results are made now."""
        return Path(self._own) if self._own else results_cache()

    @property
    def wanted(self) -> Path | None:
        """The folder if the result is to be made on disk, else None."""
        return self.folder if self.to_disk.value else None

    def require(self, must: bool) -> None:
        """Tick the box where there is no choice, because the result would not fit in memory."""
        if must != self._must:
            self._must = must
            with self.to_disk.changed.blocked():
                self.to_disk.value = must or self._wanted
            self._refresh()

    def use(self, folder: str) -> None:
        """Make results in `folder` from now on; empty for the cache folder."""
        self._own = folder
        self._remembered.change(results_folder=folder)
        self._on_folder()
        self.look()

    def pick(self) -> None:
        """Let the user pick a folder."""
        chosen = QFileDialog.getExistingDirectory(
            self.widget.native, "Results folder", str(self.folder)
        )
        if chosen:
            self.use(chosen)

    def show_in_file_manager(self) -> None:
        """Open the folder where the system shows folders."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.folder)))

    def look(self) -> None:
        """See how much lies in the folder, without making anybody wait."""
        self._refresh()
        folder = self.folder
        work = InWords(listed_results, "a look at the results on disk")
        self._worker = worker_of(self._viewer, work, folder, _connect={"returned": self._found})
        self._worker.start()

    def look_if_shown(self) -> None:
        """The same, if the user sees it."""
        if self.to_disk.value:
            self.look()

    def abandon(self) -> None:
        """Hear nothing more of what is being looked for."""
        self._abandoned = True
        unheard(self._worker, returned=self._found)

    def ask_to_empty(self) -> None:
        """Remove the whole results in the cache folder that no layer shows, if the user says so;
        others can be resumed.
        """
        in_use = {real_path(path) for path in self._in_use()}
        whole = [result for result in self.results if result.finished]
        idle = [result for result in whole if real_path(result.final_path) not in in_use]
        half = len(self.results) - len(whole)
        kept = " What an open layer shows stays." * (len(idle) < len(whole))
        kept += f" What was interrupted ({half}) stays: it can be resumed." * bool(half)
        if not idle:
            words = f"There is nothing to be removed.{kept}"
            QMessageBox.information(self.widget.native, "Empty results folder", words)
            return
        size = disk_amount(sum(result.bytes for result in idle))
        words = (
            f"Remove {len(idle)} result{'s' * (len(idle) > 1)} ({size}) from {self.folder}?{kept}"
        )
        answer = QMessageBox.question(self.widget.native, "Empty results folder", literal(words))
        if answer == QMessageBox.StandardButton.Yes:
            self.remove(idle)

    def remove(self, results: list[Result]) -> None:
        """Remove results on a thread of its own; those that are in use stay."""
        kept = list(self._in_use())

        def work() -> FileError | None:
            try:
                remove_results(results, kept)
            except FileError as error:
                return error
            return None

        self.empty.enabled = False
        self._worker = worker_of(
            self._viewer,
            InWords(work, "the removal of results on disk"),
            _connect={"returned": self._removed},
        )
        self._worker.start()

    def _removed(self, error: FileError | None) -> None:
        if error is not None:
            show_error(str(error))
        if not self._abandoned:
            self.look()

    def _found(self, results: list[Result]) -> None:
        if self._abandoned:  # an earlier worker was late
            return
        self.results = results
        self._refresh()

    def _on_box(self, ticked: bool) -> None:
        self._wanted = ticked
        self._remembered.change(to_disk="yes" if ticked else "no")
        self._refresh()
        self._on_folder()
        if ticked:
            self.look()

    def _refresh(self) -> None:
        total = sum(result.bytes for result in self.results)
        count = sum(result.finished for result in self.results)
        half = len(self.results) - count
        parts = [f"{count} result{'s' * (count != 1)}"] * bool(count) + [
            f"{half} interrupted"
        ] * bool(half)
        holds = f"{', '.join(parts)}, {disk_amount(total)}" if parts else "empty"
        self.place.value = f"{self.folder} ({holds})"
        self.place.tooltip = literal(str(self.folder))
        self.to_disk.enabled = not self._must
        self.to_disk.tooltip = MUST_TIP if self._must else ASK_TIP
        self.details.visible = self.to_disk.value
        self.usual.visible = bool(self._own)
        self.empty.visible = not self._own
        self.empty.enabled = count > 0
        self.empty.tooltip = (
            "Remove the results in the cache folder that no open layer shows; "
            "what was interrupted stays."
        )
