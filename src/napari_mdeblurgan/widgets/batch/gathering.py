"""What a batch is to restore, as the user gathers it: picked, dropped, chosen among the images of a
file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_mdeblurgan.batch.inputs import candidates
from napari_mdeblurgan.batch.manifest import MANIFEST, Manifest
from napari_mdeblurgan.batch.planned import results_in
from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.folders import at_home, folder_there
from napari_mdeblurgan.restoration.arrays import as_array
from napari_mdeblurgan.storage import FileImage, readable
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_images import is_image_folder
from napari_mdeblurgan.widgets.batch.file_list import FileList
from napari_mdeblurgan.widgets.batch.which_images import ImageChooser, several_in
from napari_mdeblurgan.widgets.layers.appearance import appearance_of, display_of
from napari_mdeblurgan.widgets.layers.axes import arranged, micrograph
from napari_mdeblurgan.widgets.layers.origin import is_ours
from napari_mdeblurgan.widgets.layers.placement import placement_of
from napari_mdeblurgan.widgets.layers.view import full_resolution
from napari_mdeblurgan.widgets.shared.closing import InWords, worker_of
from napari_mdeblurgan.widgets.shared.dropping import ELSEWHERE

if TYPE_CHECKING:
    from napari import Viewer

_Given = str | FileImage | Micrograph
LOOKING_INTO = "a look for files of several images"
LISTING = "a look for the images of a folder"
AT_ONCE = 500  # rows that are added in one go, so that the window stays alive
NO_LAYER = "No image layer is selected: select some in the layer list, then add them."
ONLY_OURS = (
    "Only results or maps of M-Deblurgan are selected: select the images that they were made of."
)


class Gathering:
    """The inputs of a batch, and the rows that show them.

    Parameters
    ----------
    widget : QWidget
        Over which windows are opened.
    viewer : Viewer
        Whose layers can be added.
    files : FileList
        The rows.
    output : callable
        Gives the folder for the results as it is typed; what lies in it is no image.
    changed : callable
        Called with a sentence, or an empty text, whenever there are other inputs.
    refused : callable
        Called with a sentence where something cannot be added.

    Attributes
    ----------
    inputs : list of str, FileImage or Micrograph
        Paths, patterns, images of files, and layers.
    chooser : ImageChooser or None
        The window that asked last.
    looking : list
        Workers that look into files and folders.
    """

    def __init__(
        self,
        widget: QWidget,
        viewer: Viewer,
        files: FileList,
        output: Callable[[], str],
        changed: Callable[[str], None],
        refused: Callable[[str], None],
    ) -> None:
        self._widget, self._viewer, self._files, self._output = widget, viewer, files, output
        self._changed, self._refused = changed, refused
        self.inputs: list[_Given] = []
        self._layers: WeakKeyDictionary[Image, Micrograph] = (
            WeakKeyDictionary()
        )  # as they were added last
        self.chooser: ImageChooser | None = None
        self.looking: list[Any] = []

    def add(self, *inputs: _Given) -> None:
        """Put paths, patterns, images of files and micrographs on the list; of a folder the files
        that are in it.
        """
        new = [each for each in inputs if isinstance(each, Micrograph) or each not in self.inputs]
        self.inputs += new
        self._files.offer_also(
            [each.name if isinstance(each, Micrograph) else str(each) for each in new]
        )
        folders = [each for each in new if isinstance(each, str) and folder_there(each)]
        self._changed("")
        for folder in folders:
            self._list(folder)

    def add_paths(self, paths: Sequence[str]) -> None:
        """Put files and folders on the list, and let the user choose among the images of those that
        hold several.
        """
        self.add(*paths)
        self._look_into(
            [path for path in paths if not folder_there(path) or is_image_folder(Path(path))]
        )

    def take_dropped(self, paths: list[str]) -> None:
        """The same for what was dropped."""
        if paths:
            self.add_paths(paths)
        else:
            self._refused(ELSEWHERE)

    def pick_files(self) -> None:
        """Ask for files in the system's dialog."""
        patterns = " ".join(f"*{suffix}" for suffix in readable() if suffix != ".zarr")
        kinds = f"Images ({patterns});;All files (*)"
        self.add_paths(
            QFileDialog.getOpenFileNames(self._widget, "Images to restore", "", kinds)[0]
        )

    def pick_folder(self) -> None:
        """Ask for a folder in the system's dialog."""
        if folder := QFileDialog.getExistingDirectory(
            self._widget, "Folder with images, or OME-Zarr"
        ):
            self.add_paths([folder])

    def add_selected_layers(self) -> None:
        """Put the selected image layers on the list, once each, as they are now; of several
        resolutions the full one. Results and maps among them are left out.
        """
        chosen = [layer for layer in self._viewer.layers if layer in self._viewer.layers.selection]
        images = [layer for layer in chosen if isinstance(layer, Image)]
        given = [layer for layer in images if not is_ours(layer)]
        if not given:
            self._refused(ONLY_OURS if images else NO_LAYER)
            return
        try:
            new = {layer: _micrograph_of(layer) for layer in given}
        except MdeblurganError as error:
            self._refused(str(error))
            return
        for before in filter(None, map(self._layers.get, given)):
            self.inputs = [each for each in self.inputs if each is not before]
            self._files.remove(before.name or "")
        self._layers |= new
        self.add(*new.values())

    def clear(self) -> None:
        """Take all off the list."""
        self.look_no_more()
        self.inputs = []
        self._files.offer(())

    def look_no_more(self) -> None:
        """End all looking. Who goes on without an answer means all images of the files, and a batch
        lists folders itself.
        """
        for worker in self.looking:
            for signal in ("yielded", "returned"):
                with suppress(TypeError, RuntimeError, AttributeError):  # it has returned already
                    getattr(worker, signal).disconnect()
            worker.quit()
        self.looking = []

    def folders_become_files(self) -> None:
        """Take the rows of folders off the list, whose files somebody else lists from now on."""
        self.look_no_more()
        for each in self.inputs:
            if isinstance(each, str) and folder_there(each) and not is_image_folder(Path(each)):
                self._files.remove(each)

    # ---- folders

    def _list(self, folder: str) -> None:
        """Put the files of a folder in the place of its row, in the background."""
        output, shown = self._output().strip(), [0]

        def show(names: list[str]) -> None:
            shown[0] += len(names)
            self._files.insert_before(folder, names)

        def end(found: bool) -> None:
            if not found:
                return
            if shown[0]:
                self._files.remove(folder)
                self._changed(f"{shown[0]:,} file{'s' * (shown[0] != 1)} in {folder}.")
            else:
                self._files.note(folder, "no image in it yet")

        self._look(
            worker_of(self._viewer, InWords(files_in, LISTING), folder, output),
            show,
            end,
        )

    def _look(
        self, worker: Any, show: Callable[[Any], None] | None, end: Callable[[Any], None]
    ) -> None:
        """Have a worker look in the background, until `look_no_more`."""

        def forget() -> None:
            if worker in self.looking:
                self.looking.remove(worker)

        if show is not None:
            worker.yielded.connect(show)
        worker.returned.connect(end)
        worker.finished.connect(forget)
        self.looking.append(worker)
        worker.start()

    # ---- files of several images

    def _look_into(self, paths: Sequence[str]) -> None:
        """Find out which files hold several images, and let the user choose among these."""
        if paths:
            worker = worker_of(self._viewer, InWords(several_in, LOOKING_INTO), tuple(paths))
            self._look(worker, None, self._offer_images)

    def _offer_images(self, files: dict[str, tuple[FileImage, ...]]) -> None:
        """Ask which images of files are meant; until that is said it is all of them."""
        files = {path: images for path, images in files.items() if path in self.inputs}
        if not files:
            return
        self.chooser = chooser = ImageChooser(self._widget, files)
        chooser.accepted.connect(lambda: self._restrict(chooser.chosen()))
        chooser.open()

    def _restrict(self, chosen: dict[str, list[FileImage]]) -> None:
        """Put images of files in the place of the files."""
        kept: list[_Given] = []
        for each in self.inputs:
            kept += chosen[each] if isinstance(each, str) and each in chosen else [each]
        self.clear()
        self.add(*kept)


def files_in(folder: str, output: str) -> Generator[list[str], None, bool]:
    """The images that a folder seems to hold, a few hundred at a time; whether it is a folder of
    files at all.

    Parameters
    ----------
    folder : str
        A folder; an OME-Zarr is one image.
    output : str
        Folder for the results, if one is chosen: neither what lies in it nor what batches have made
        there is listed.
    """
    if is_image_folder(Path(folder)):
        return False
    try:
        found = list(candidates([folder], Path(output) if output else None))
        made = (
            results_in(Manifest(at_home(output) / MANIFEST), at_home(output)) if output else set()
        )
    except (MdeblurganError, OSError):  # the batch says why
        return False
    names = [str(path) for path in found if os.path.realpath(path) not in made]
    for start in range(0, len(names), AT_ONCE):
        yield names[start : start + AT_ONCE]
    return True


def _micrograph_of(layer: Image) -> Micrograph:
    """A layer's image as it is now, with y and x where its labels say."""
    placement = placement_of(layer)
    image = micrograph(
        arranged(as_array(full_resolution(layer)), placement.order),
        layer.name,
        layer.rgb,
        placement,
    )
    return replace(image, display=display_of(appearance_of(layer), image.channels))
