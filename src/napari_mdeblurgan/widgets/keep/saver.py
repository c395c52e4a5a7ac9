"""The button **Save result…** of the dock: asks where, saves on a thread of its own, tells how far
that is, and cancels it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import PushButton
from napari.layers import Image
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.folders import anything_there, at_home, folder_there, real_path
from napari_mdeblurgan.steps import percent
from napari_mdeblurgan.widgets.keep.kept_result import kept_result, save_kept
from napari_mdeblurgan.widgets.keep.layer_images import LayerTuple, in_blocks, joinable
from napari_mdeblurgan.widgets.keep.waiting import Cancelled
from napari_mdeblurgan.widgets.layers.origin import proposed_place
from napari_mdeblurgan.widgets.runs import soft_results
from napari_mdeblurgan.widgets.runs.results import clean_name
from napari_mdeblurgan.widgets.shared.closing import InWords, worker_of
from napari_mdeblurgan.widgets.shared.plain import literal
from napari_mdeblurgan.widgets.shared.unexpected import in_one_sentence

if TYPE_CHECKING:
    from napari import Viewer

SAVE = "Save result…"
FILTERS = {
    ".ome.tif": "OME-TIFF (*.ome.tif *.ome.tiff)",
    ".ome.zarr": "OME-Zarr (*.ome.zarr *.zarr)",
}
_LOOK_MS = 100
COPIED_BYTES = 64 * 2**20  # of a result in memory that may be made softer while it is saved


@dataclass
class _Job:
    """A saving on its way."""

    name: str
    place: Path
    share: float = 0.0
    cancelled: bool = False
    abandoned: bool = False


class ResultSaver(QObject):
    """Saves results; lives on the main thread.

    Parameters
    ----------
    viewer : Viewer
        Whose results they are.
    button : PushButton
        Which asks for it, and cancels it while something is saved.
    parent : QWidget
        Over which is asked.
    say, fail : callable
        Get a sentence each: what has become of it, and why nothing has.
    in_use : callable
        Gives the files that layers show.
    source_of : callable
        Gives what a result was made from; the dialog begins in the folder of that image.
    """

    def __init__(
        self,
        viewer: Viewer,
        button: PushButton,
        parent: Any,
        say: Callable[[str], None],
        fail: Callable[[str], None],
        in_use: Callable[[], Collection[Path]],
        source_of: Callable[[Image], Image | None],
    ) -> None:
        super().__init__()
        self._button, self._parent, self._say, self._fail, self._in_use = (
            button,
            parent,
            say,
            fail,
            in_use,
        )
        self._viewer, self._source_of = viewer, source_of
        self._job: _Job | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._show_share)

    @property
    def saving(self) -> bool:
        """Whether something is being saved."""
        return self._job is not None

    def press(self, layers: Sequence[Image], maps: Mapping[Image, Mapping[str, Any]]) -> None:
        """Ask where, and save results; or cancel what is being saved.

        Parameters
        ----------
        layers : sequence of Image
            The result that is meant, then those of the same run: those that are channels of one
            image with it are saved with it.
        maps : mapping
            The arrays of the maps of each result that has some, by name, with the axes of the
            image.
        """
        if self._job is not None:
            self.cancel()
            return
        unsettled = next((each for each in layers[:1] if _is_changing(each)), None)
        if not layers or unsettled is not None:
            if unsettled is not None:
                self._fail(
                    f"{unsettled.name!r} is being made as sharp as was asked: save it in a moment."
                )
            return
        try:
            layers = [each for each in layers if not _is_changing(each)]
            tuples = [_fixed(each) for each in layers]
            place_of = self._viewer.layers.index  # channels are saved in the order of the list
            chosen = sorted(joinable(tuples), key=lambda number: place_of(layers[number]))
            place = self._ask(layers[0])
            if place is None:
                return
            kept = kept_result(
                [tuples[n] for n in chosen], place, [maps.get(layers[n], {}) for n in chosen]
            )
        except MdeblurganError as error:
            self._fail(str(error))
            return
        names = [layers[n].name for n in chosen]
        self._start(kept, place, f"{len(names)} channels" if len(names) > 1 else repr(names[0]))

    def cancel(self) -> None:
        """End what is being saved; nothing of it stays."""
        if self._job is not None:
            self._job.cancelled = True
            self._button.enabled = False

    def close(self) -> None:
        """Cancel, and hear nothing more of it."""
        self._timer.stop()
        if self._job is not None:
            self._job.cancelled = self._job.abandoned = True

    def refresh(self, *, possible: bool) -> None:
        """Bring the button in line with whether there is a result to be saved."""
        if self._job is None:
            self._button.text, self._button.enabled = SAVE, possible

    def _ask(self, result: Image) -> Path | None:
        """Where to, in a file dialog; None if the user would rather not, or not replace what is
        there.
        """
        from napari_mdeblurgan.trust.saving import OME_TIFF, OME_ZARR, result_path

        name = clean_name(result.name)
        usual = f"{name}{OME_TIFF}"
        text, wanted = QFileDialog.getSaveFileName(
            self._parent,
            "Save result",
            proposed_place(usual, self._source_of(result), result),
            ";;".join(FILTERS.values()),
        )
        if not text:
            return None
        ending = OME_ZARR if wanted == FILTERS[OME_ZARR] else OME_TIFF
        typed = Path(text)
        if ending == OME_ZARR and typed.name == usual:  # which the dialog had proposed
            typed = typed.with_name(f"{name}{OME_ZARR}")
        place = result_path(typed, ending)
        if real_path(place) in {real_path(path) for path in self._in_use()}:
            self._fail(f"{place} is what a layer shows; choose another name.")
            return None
        asked = place == at_home(text).absolute() and not folder_there(place)
        return place if asked or not anything_there(place) or self._agreed(place) else None

    def _agreed(self, place: Path) -> bool:
        words = f"{place.name} is there already. Replace it?"
        answer = QMessageBox.question(self._parent, "Save result", literal(words))
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _start(self, kept: Any, place: Path, name: str) -> None:
        job = self._job = _Job(name, place)

        def tell(share: float) -> None:
            job.share = share
            if job.cancelled:
                raise Cancelled

        def work() -> list[Path] | str | None:
            try:
                return save_kept(kept, place, replace=True, tell=tell)
            except Cancelled:
                return None
            except Exception as error:
                no_memory = f"There is not enough memory to save {name}; close other programs."
                return in_one_sentence(error, f"Saving {name}", no_memory)

        self._show_share()
        self._timer.start(_LOOK_MS)
        self._say(f"Saving {name}…")
        worker = worker_of(self._viewer, InWords(work, f"the saving of {name}"))
        worker.returned.connect(lambda outcome: self._end(job, outcome))
        worker.start()

    def _show_share(self) -> None:
        if self._job is not None:
            self._button.text = f"Cancel · {percent(min(self._job.share, 0.99))}"

    def _end(self, job: _Job, outcome: list[Path] | str | None) -> None:
        if job.abandoned:
            return
        self._job = None
        self._timer.stop()
        self.refresh(possible=True)
        match outcome:
            case str():
                self._fail(outcome)
            case None:
                self._say(f"Cancelled; {job.place.name} was not saved.")
            case _:
                count = len(outcome) - 1
                beside = f", with {count} map{'s' * (count > 1)} beside it" if count else ""
                self._say(f"{job.name[:1].upper()}{job.name[1:]} saved as {job.place}{beside}.")


def _is_changing(layer: Image) -> bool:
    """Whether a result is being made softer or sharper just now."""
    found = soft_results.of_layer(layer)
    return found is not None and found.settled is None and not found.problem


def _fixed(layer: Image) -> LayerTuple:
    """A layer as napari hands it to writers, with pixels that stay what they are, also if the user
    moves the slider.
    """
    data, attributes, kind = layer.as_layer_data_tuple()
    found = soft_results.of_layer(layer)
    if found is None:
        return data, attributes, kind
    if found.shown is not None and found.shown.nbytes <= COPIED_BYTES:
        return layer.data.copy(), attributes, kind
    from napari_mdeblurgan.restoration.softened_result import SoftLevels

    bare = found.bare
    if isinstance(bare, SoftLevels):
        levels, windows = bare.levels[:1], bare.windows
    else:
        levels, windows = [in_blocks(bare, rgb=found.rgb)], found.windows
    fixed = SoftLevels(levels, rgb=found.rgb, sigma=found.softness.sigma, windows=windows).arrays
    return found.cut(fixed)[0], {**attributes, "multiscale": False}, kind
