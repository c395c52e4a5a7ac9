"""From what is chosen in the widget to the jobs of restoring it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.errors import ImageError, MdeblurganError
from napari_mdeblurgan.restoration.arrays import as_array
from napari_mdeblurgan.restoration.output_scale import output_factor
from napari_mdeblurgan.widgets.deblur.controls import THIS_SLICE, Controls, tell_averaging
from napari_mdeblurgan.widgets.deblur.scan_layers import ScanOptions
from napari_mdeblurgan.widgets.layers import view
from napari_mdeblurgan.widgets.layers.appearance import appearance_of
from napari_mdeblurgan.widgets.layers.axes import arranged
from napari_mdeblurgan.widgets.layers.cuts import cuts_of
from napari_mdeblurgan.widgets.layers.origin import file_of
from napari_mdeblurgan.widgets.layers.placement import placement_of
from napari_mdeblurgan.widgets.layers.view import full_resolution, image_shape
from napari_mdeblurgan.widgets.runs.halving import whole_blocks
from napari_mdeblurgan.widgets.runs.job import Job
from napari_mdeblurgan.widgets.runs.to_disk import is_large
from napari_mdeblurgan.widgets.shared.settings_page import read_settings

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.restoration.tiling import Region
    from napari_mdeblurgan.widgets.deblur.only_here.drop_down import OnlyHere
    from napari_mdeblurgan.widgets.deblur.results_folder import ResultsFolder
    from napari_mdeblurgan.widgets.deblur.scan_layers import ScanLayers
    from napari_mdeblurgan.widgets.deblur.slices import Slices
    from napari_mdeblurgan.widgets.runs.known_optics import Microscope

PREVIEW_PIXELS = 1024 * 1024


def job_on(
    source: Image, model: str, device: str, *, order: Sequence[int] | None = None, **part: Any
) -> Job:
    """The job of restoring `source` as it is now, with its axes in the order of an image.

    Parameters
    ----------
    source : Image
        The layer.
    model, device : str
        As in `Job`.
    order : sequence of int, optional
        The layer's axes in the order of the image, y and x last; by default as its labels tell.
    **part
        The job's planes, window_axes, region, preview and folder.
    """
    placement = placement_of(source, order)
    coarser = source.data[1:] if source.multiscale else ()
    return Job(
        source=source.name,
        data=arranged(as_array(full_resolution(source)), placement.order),
        coarser=tuple(arranged(as_array(level), placement.order) for level in coarser),
        rgb=source.rgb,
        model=model,
        device=device,
        placement=placement,
        look=appearance_of(source),
        cuts=cuts_of(source, placement),
        file=file_of(source),
        **part,
    )


class Orders:
    """Makes jobs; lives on the main thread.

    Parameters
    ----------
    viewer : Viewer
        Whose view says what a preview shows, and what is done first.
    controls, slices, results, scans
        Of the widget.
    card_for : callable
        Gives the card of the model that restores an image; None if there is none.
    output_scale_for : callable
        Gives how many pixels the result of an image has for one of it, as `make_plan` takes it.
    microscope : callable
        Gives what the user says of it.
    only_here
        Of the widget.
    """

    def __init__(
        self,
        viewer: Viewer,
        controls: Controls,
        slices: Slices,
        results: ResultsFolder,
        scans: ScanLayers,
        card_for: Callable[[Image], ModelCard | None],
        output_scale_for: Callable[[Image], int | None],
        microscope: Callable[[], Microscope],
        only_here: OnlyHere,
    ) -> None:
        self._viewer, self._controls, self._slices = viewer, controls, slices
        self._results, self._scans, self._card_for = results, scans, card_for
        self._output_scale_for, self._microscope, self._only_here = (
            output_scale_for,
            microscope,
            only_here,
        )
        self._averaged_by = 2
        controls.halve.changed.connect(self._on_halve)

    @property
    def binning(self) -> int:
        """Over how many pixels along y and x images are averaged first; 1 for none."""
        return self._averaged_by if self._controls.halve.value else 1

    def average_by(self, binning: int) -> None:
        """Average images over blocks of so many pixels along y and x, until the tick is taken
        away that says so.
        """
        self._averaged_by = binning
        tell_averaging(self._controls.halve, binning)
        self._controls.halve.value = True

    def _on_halve(self, on: bool) -> None:
        if not on:
            self._averaged_by = 2
            tell_averaging(self._controls.halve, self._averaged_by)

    def options(self, image: Image) -> ScanOptions:
        """What an image would be restored by."""
        card = self._card_for(image)
        return ScanOptions(
            card.name if card else "",
            output_factor(self._output_scale_for(image), card) if card else 0,
            self.binning,
            8 if self._controls.ensemble.value else 1,
            self.regions(image, self.binning),
        )

    def may_be_left(self, image: Image) -> bool:
        """Whether only a plane or shapes of an image would be restored, which may be left any
        time, so that nothing is resumed.
        """
        one_plane = image.ndim > 2 and self._controls.this_slice.value
        return one_plane or self._only_here.layer is not None

    def job(self, image: Image) -> Job:
        """Restore a layer: whole, some of its slices, or the plane that is shown.

        Raises
        ------
        ImageError
            If the plane that is shown is asked for, and none is.
        """
        part = self._slices.of(image)
        if self._controls.this_slice.value and image.ndim > 2:
            view.check_plane_shown(image, self._viewer, f"{THIS_SLICE!r}", part["order"])
            part["planes"] = self._plane(image, part)
        return self._made(image, **part)

    def jobs(self, images: Sequence[Image]) -> tuple[list[Image], list[Job], str]:
        """Restore layers: each as in `job`, or each of the shapes on it that alone are to be
        restored.

        Returns
        -------
        list of Image, list of Job, str
            The jobs, what each of them restores, and what is to be known of them.

        Raises
        ------
        ImageError
            As in `job`, and if no shape lies on one of the layers.
        """
        if self._only_here.layer is None:
            return list(images), [self.job(image) for image in images], ""
        sources, jobs, notes = [], [], []
        for image in images:
            part = self._slices.of(image)
            found = self._only_here.found(image, part["order"])
            part["planes"] = self._plane(image, part)
            jobs += [
                self._made(image, **part, region=region, part=each) for region, each in found.parts
            ]
            sources += [image] * len(found.parts)
            notes.append(found.note)
        notes.append(self._only_here.note(jobs))
        return sources, jobs, " ".join(dict.fromkeys(filter(None, notes)))

    def regions(self, image: Image, binning: int) -> frozenset[Region | None]:
        """What of an image is to be restored, in its pixels: all of it, or the boxes around shapes,
        which may be none.
        """
        shape = image_shape(image, self._slices.order(image))[-2:]
        boxes = self._boxes(image)
        return frozenset(
            None if box is None else whole_blocks(box, shape, binning) for box in boxes
        )

    def _boxes(self, image: Image) -> list[Region | None]:
        if self._only_here.layer is None:
            return [None]
        try:
            found = self._only_here.found(image, self._slices.order(image))
        except ImageError:  # it is said when they are to be restored
            return []
        return [region for region, _ in found.parts]

    def all_of(self, images: Sequence[Image]) -> list[Job]:
        """The same jobs; none where that cannot be."""
        try:
            return self.jobs(images)[1]
        except MdeblurganError:
            return []

    def in_folder(self, image: Image) -> Job:
        """The same job, made on disk in any case.

        Raises
        ------
        ImageError
            As in `job`.
        """
        return replace(self.job(image), folder=self._results.folder)

    def preview(self, image: Image) -> tuple[Job, bool]:
        """Restore what the canvas shows; and whether that is all of it.

        Raises
        ------
        ImageError
            If the canvas shows no plane of y and x, or nothing of the image.
        """
        part = self._slices.of(image)
        region, is_all = view.visible_region(image, self._viewer, PREVIEW_PIXELS, part["order"])
        part["planes"] = self._plane(image, part)
        return self._made(image, **part, region=region, preview=True), is_all

    def is_large(self, image: Image) -> bool:
        """Whether a result has to be made on disk; one slice of it is looked at
        when it is started.
        """
        card, part = self._card_for(image), self._slices.of(image) | self._pixels(image)
        if card is None:
            return False
        if self._only_here.layer is not None:
            part["planes"] = self._plane(image, part)
        try:
            made = [
                job_on(image, card.name, "auto", **part, region=region)
                for region in self._boxes(image)
            ]
        except ImageError:  # it is said when it is to be restored
            return False
        return any(is_large(job, card) for job in made)

    def _pixels(self, image: Image) -> dict[str, Any]:
        """What is chosen of the pixels that are restored, and of those that the result has."""
        return {
            "binning": self.binning,
            "output_scale": self._output_scale_for(image),
        }

    def _plane(self, image: Image, part: dict[str, Any]) -> tuple[slice, ...]:
        return tuple(
            slice(i, i + 1) for i in view.current_slice(image, self._viewer, part["order"])
        )

    def _made(self, image: Image, **part: Any) -> Job:
        card, settings, preview = self._card_for(image), read_settings(), part.get("preview", False)
        part |= {
            "microscope": self._microscope(),
            "precision": settings.precision,
            "tile_memory_mb": settings.tile_memory_mb,
            **self._pixels(image),
        }
        for wish in ("trust", "ensemble"):
            part[wish] = getattr(self._controls, wish).value and not preview
        device = settings.device_for(self._controls.device.value)
        job = job_on(image, card.name if card else "", device, **part)
        on_disk = self._results.wanted or self._scans.can_resume(image)
        if preview or not (on_disk or (card is not None and is_large(job, card))):
            return job
        return replace(job, folder=self._results.folder, seen=self._seen(image, job))

    def _seen(self, image: Image, job: Job) -> Any:
        """Which plane of the job the canvas shows, and which region of it; None if it is not to be
        said.
        """
        order = job.placement.order
        try:
            region, _ = view.visible_region(image, self._viewer, 2**62, order)
        except ImageError:
            return None
        plane = view.current_slice(image, self._viewer, order)
        return tuple(at - first for at, first in zip(plane, job.first_plane, strict=True)), region
