"""The layers of scans: the one that fills in, those that can be gone on with, and the files that
layers show.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from napari.layers import Image

from napari_mdeblurgan.folders import file_there
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import PARTIAL
from napari_mdeblurgan.widgets.layers.adding import add_layer
from napari_mdeblurgan.widgets.layers.appearance import looking_like
from napari_mdeblurgan.widgets.layers.live_layer import LiveLayer, show_levels
from napari_mdeblurgan.widgets.layers.origin import is_map
from napari_mdeblurgan.widgets.layers.placement import placement_of
from napari_mdeblurgan.widgets.runs.job import JobFailed
from napari_mdeblurgan.widgets.runs.to_disk import Opened, Saved
from napari_mdeblurgan.widgets.shared import wording

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

    from napari_mdeblurgan.restoration.scan import Scan
    from napari_mdeblurgan.restoration.tiling import Region
    from napari_mdeblurgan.widgets.deblur.begun import BegunSearch


class ScanOptions(NamedTuple):
    """What the user chooses that makes another result of an image: where one of them changes,
    nothing is resumed.
    """

    model: str
    factor: int
    binning: int
    orientations: int
    regions: frozenset[Region | None] = frozenset([None])

    def allow(self, made: ScanOptions) -> bool:
        """Whether a result is one of those that are wished for."""
        return made._replace(regions=self.regions) == self and made.regions <= self.regions


class ScanLayers:
    """Adds and updates them; lives on the main thread.

    Parameters
    ----------
    viewer : Viewer
        That shows them.
    begun : BegunSearch
        Knows what earlier sessions have left.
    chosen : callable
        Gives the options that an image would be restored by now.
    results_of : callable
        Gives the results of an image that are open.
    """

    def __init__(
        self,
        viewer: Viewer,
        begun: BegunSearch,
        chosen: Callable[[Image], ScanOptions],
        results_of: Callable[[Image], list[Image]],
    ) -> None:
        self._viewer, self._begun, self._chosen = viewer, begun, chosen
        self._results_of = results_of
        self._opened: Opened | None = None
        self._live: LiveLayer | None = None
        self._interrupted: weakref.WeakValueDictionary[Path, Image] = weakref.WeakValueDictionary()
        self._unfinished: weakref.WeakKeyDictionary[
            Image, tuple[Path, dict[str, Any], ScanOptions]
        ] = weakref.WeakKeyDictionary()
        self._assessed: Path | None = None

    @property
    def open_path(self) -> Path | None:
        """Where the scan is made that fills in now."""
        return self._opened.scan.path if self._opened is not None else None

    def can_resume(self, source: Image) -> bool:
        """Whether the last scan of `source`, or its assessment, was interrupted, and is still
        there.

        A source that has been placed elsewhere since has another result, and so has one of other
        options.
        """
        begun, chosen = self._begun.of(source), self._chosen(source)
        if begun is not None and begun.model == chosen.model:
            return True
        path, place, made = self._unfinished.get(source, (None, {}, chosen))
        return (
            path is not None
            and chosen.allow(made)
            and place == placement_of(source).told()
            and any(
                file_there(place / "zarr.json")
                for place in (path, path.with_name(path.name + PARTIAL))
            )
        )

    def paths(self) -> list[Path]:
        """The files that layers of the viewer show, and the one that is being made or assessed."""
        shown = [_file_of(layer) for layer in self._viewer.layers]
        return [path for path in [self.open_path, self._assessed, *shown] if path is not None]

    def open(self, opened: Opened, source: Image | None) -> Image:
        """Show a scan from now on; in the layers that have shown it before, if they are still
        there. Returns the first of them.
        """
        scan, rgb = opened.scan, opened.scan.plan.rgb
        self._live = LiveLayer(
            self._viewer,
            opened.shown,
            opened.at_once,
            rgb,
            follow(scan),
            scan.store.path.exists,
            opened.order,
        )
        self._opened = opened
        first = self._interrupted.pop(scan.path, None)
        arrays = self._live.arrays
        shown = [each for each in self._viewer.layers if _shows_levels(each, scan.path, arrays)]
        for each in shown:
            show_levels(each, arrays)
            each.name = wording.finished_name(each.name)
        layer = first if first in shown else next(iter(shown), None)
        if layer is None:
            layer = self._added(arrays, opened.arguments, source)
        self._live.attach(layer)
        if source is not None:
            self._unfinished[source] = (
                scan.path,
                placement_of(source).told(),
                _made_by(opened.arguments),
            )
        return layer

    def touch(self) -> None:
        """Something new was made."""
        if self._live is not None:
            self._live.touch()

    def saved(self, made: Saved, source: Image | None) -> Image | None:
        """Let the layer show the result, which is whole and still to be assessed; returns it, as
        `end` does.
        """
        layer = self.end(made, source)
        self._assessed = made.path
        if source is not None:
            self._unfinished[source] = (
                made.path,
                placement_of(source).told(),
                _made_by(made.arguments),
            )
        return layer

    def assessed(self, source: Image | None) -> None:
        """It is known how far the result can be trusted, and there is nothing
        to be gone on with.
        """
        if source is not None:
            self._unfinished.pop(source, None)

    def end(self, outcome: Saved | JobFailed | None, source: Image | None) -> Image | None:
        """Let the layer show what there is now, for good; returns it, if there is one.

        Parameters
        ----------
        outcome : Saved, JobFailed or None
            How the scan came to its end; None if it was cancelled.
        source : Image or None
            What it was made from, if that is still there.
        """
        live, opened, self._live, self._opened = self._live, self._opened, None, None
        self._assessed = None
        layer = live.layer if live is not None else None
        if isinstance(outcome, Saved):
            if source is not None:
                self._unfinished.pop(source, None)
            if live is None:
                shown = (each for each in self._viewer.layers if _shows(each, outcome.path))
                return next(shown, None) or self._added(outcome.levels, outcome.arguments, source)
            for each in live.finish(outcome.levels):
                each.metadata = outcome.arguments["metadata"]
        elif live is not None and opened is not None:
            _interrupt(live, opened)
            if layer is not None:
                self._interrupted[opened.scan.path] = layer
        return layer

    def _added(self, data: Any, arguments: dict[str, Any], source: Image | None) -> Image:
        earlier = [] if source is None else self._results_of(source)
        return add_layer(self._viewer, data, looking_like(arguments, source), source, earlier)

    def close(self) -> None:
        """Leave all layers alone from now on."""
        if self._live is not None and self._opened is not None:
            _interrupt(self._live, self._opened)
        self._live = self._opened = None


def _made_by(arguments: dict[str, Any]) -> ScanOptions:
    made = arguments["metadata"]["mdeblurgan"]
    regions = frozenset([made["region"]])
    return ScanOptions(
        made["model"], made["scale"], made.get("binning", 1), made["orientations"], regions
    )


def _interrupt(live: LiveLayer, opened: Opened) -> None:
    """Let the layer and its copies show for good what there is of the result, with the source where
    there is nothing; their names say so.
    """
    for layer in live.finish(opened.levels):
        layer.name = wording.unfinished_name(layer.name, opened.scan.fraction)


def follow(scan: Scan) -> Callable[[tuple[int, ...], Region], None]:
    """Have the blocks done next that show in a region of the result."""
    plan = scan.plan

    def want(index: tuple[int, ...], region: Region) -> None:
        (y0, y1), (x0, x1) = (
            (start // plan.factor + first, -(-stop // plan.factor) + first)
            for (start, stop), (first, _) in zip(region, plan.region, strict=True)
        )
        scan.want(index, ((y0, y1), (x0, x1)))

    return want


def _shows(layer: Layer, path: Path) -> TypeGuard[Image]:
    """Whether a layer shows the result in a file, and not a map of it."""
    return isinstance(layer, Image) and not is_map(layer) and _file_of(layer) == path


def _shows_levels(layer: Layer, path: Path, levels: Sequence[Any]) -> TypeGuard[Image]:
    """Whether a layer shows the result in a file, whole and with these levels; of a widget that was
    closed, too, or as a copy of another layer.
    """
    return (
        _shows(layer, path)
        and layer.multiscale
        and [each.shape for each in layer.data] == [each.shape for each in levels]
    )


def _file_of(layer: Layer) -> Path | None:
    """The file of a result that was made on disk, or that a layer was opened from."""
    made = layer.metadata.get("mdeblurgan")
    file = made.get("file") if isinstance(made, dict) else layer.source.path
    return Path(file) if file else None
